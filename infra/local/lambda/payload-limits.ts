/**
 * The largest event of a synchronous invocation, bytes of its JSON. Quotas page of the Lambda developer guide,
 * "Invocation payload (request and response)": 6 MB each.
 */
export const MAXIMUM_REQUEST_BYTES = 6 * 1024 * 1024;

/**
 * The largest answer, bytes of its JSON: 100 above the request's limit, as Lambda's own error message
 * Function.ResponseSizeTooLarge names it.
 */
export const MAXIMUM_RESPONSE_BYTES = 6_291_556;
