// What the command lines share.

/**
 * @template {string} Word
 * @param {readonly Word[]} words
 * @param {string} name
 * @param {string} given
 * @returns {Word}
 */
export function choice(words, name, given) {
  const word = words.find((candidate) => candidate === given)
  if (word === undefined) throw new RangeError(`${name} must be one of ${words.join(', ')}; got ${given}`)
  return word
}

/**
 * @param {string} name
 * @param {string} given
 * @param {number} least
 * @param {number} most
 */
export function wholeNumber(name, given, least, most) {
  const number = Number(given)
  if (!/^\d+$/.test(given) || number < least || number > most) {
    throw new RangeError(`${name} must be a whole number from ${least} to ${most}; got ${given}`)
  }
  return number
}
