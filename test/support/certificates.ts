import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A self-signed certificate for 127.0.0.1 and localhost, which is its own authority. */
export interface Certificate {
  readonly keyFile: string
  readonly certFile: string
  /** What a client trusts: `tls: { ca }`. */
  readonly ca: string
}

const execute = promisify(execFile)

/** Whether certificates can be made here. Tests that need TLS skip themselves, loudly, where not. */
export async function hasOpenssl(): Promise<boolean> {
  return execute('openssl', ['version']).then(
    () => true,
    () => false,
  )
}

/** Makes a certificate in `directory`, good for two days. */
export async function createCertificate(directory: string): Promise<Certificate> {
  const keyFile = join(directory, 'key.pem')
  const certFile = join(directory, 'cert.pem')
  await execute('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
    ...['-keyout', keyFile, '-out', certFile, '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost'],
  ])
  return { keyFile, certFile, ca: await readFile(certFile, 'utf8') }
}
