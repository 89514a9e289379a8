// Imported first by what prints much. When nobody reads that any more (`| head -5`), the process ends as if its terminal
// had gone: what it started is ended where it listens for SIGHUP, and it says nothing.
let isClosed = false

process.stdout.on('error', (/** @type {NodeJS.ErrnoException} */ error) => {
  if (error.code !== 'EPIPE') throw error
  if (isClosed) return
  isClosed = true
  if (!process.emit('SIGHUP')) process.exit()
})
