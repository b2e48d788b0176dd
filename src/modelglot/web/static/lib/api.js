// The server's documents. Addresses are relative to the page, whose own address has the token.

/** An answer that is an error: its text, and what can be done. */
export class ApiError extends Error {
  constructor(message, hint = null, status = 0) {
    super(message);
    this.hint = hint;
    this.status = status;
  }
}

function address(path, params) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params))
    query.set(name, typeof value === 'string' ? value.toWellFormed() : value);
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function answer(path, params, signal) {
  let response;
  try {
    response = await fetch(address(path, params), { signal });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new ApiError('the server does not answer', 'it ends with the command `modelglot view`; start it again');
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  throw new ApiError(said.error ?? `the server answered ${response.status}`, said.hint ?? null, response.status);
}

/** @returns {Promise<any>} a JSON document */
export async function get(path, params = {}, signal = undefined) {
  return (await answer(path, params, signal)).json();
}

/** @returns {Promise<Float32Array>} little-endian float32 values */
export async function floats(path, params, signal) {
  const data = new DataView(await (await answer(path, params, signal)).arrayBuffer());
  const values = new Float32Array(data.byteLength / 4);
  for (let i = 0; i < values.length; i += 1) values[i] = data.getFloat32(i * 4, true);
  return values;
}

const kept = new Map();

/** Like `get` for documents that do not change while the page is open; failures are asked again. */
export function once(path) {
  if (!kept.has(path)) {
    const asked = get(path);
    asked.catch(() => kept.delete(path));
    kept.set(path, asked);
  }
  return kept.get(path);
}

export const summary = (file) => once(`api/summary/${file}`);
export const tensors = (file) => once(`api/tensors/${file}`);
