import { get as getPlain } from 'node:http';
import { get as getSecure } from 'node:https';

/** The status of a GET; the body is thrown away. Rejects when nothing answers within 5 s. */
export function httpGet(url: string, options: { auth?: string; ca?: Buffer } = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const get = url.startsWith('https:') ? getSecure : getPlain;
    const request = get(url, { ...options, agent: false, timeout: 5_000 }, (response) => {
      response.resume();
      response.once('end', () => {
        resolve(response.statusCode ?? 0);
      });
    });
    request.once('timeout', () => request.destroy(new Error(`no answer from ${url}`)));
    request.once('error', reject);
  });
}
