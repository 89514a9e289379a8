/** The header by which a request carries its number in the history. */
export const REQUEST_HEADER = 'x-request-number'
