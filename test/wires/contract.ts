import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, test } from 'vitest'
import { readText, type Wire, type WireReply, type WireRequest } from '../../src/wires/wire.ts'
import { type Answering, closedPort, eventually, reply, serve, serveRaw, type TestServer } from '../support/server.ts'

/** What a wire for an address is, and which key it sends: its own, or the one in the request. */
export interface WireUnderTest {
  readonly name: string
  readonly make: (baseURL: string) => Wire
  readonly key: string
}

export const GIVEN_KEY = 'given-key-0123456789'

const REDIRECTS = [301, 302, 303, 307, 308]
/** Larger than any buffer on the way. */
const LARGE = 'äx'.repeat(1_000_000)

/** What every wire has to do, whoever carries the bytes. */
export function wireContract({ name, make, key }: WireUnderTest): void {
  describe(name, () => {
    const servers: TestServer[] = []
    const server = async (answering: Answering) => {
      const started = await serve(answering)
      servers.push(started)
      return started
    }
    afterEach(async () => {
      await Promise.all(servers.splice(0).map((each) => each.close()))
    })

    const request = (url: string, more: Partial<WireRequest> = {}): WireRequest => ({
      method: 'POST',
      url: `${url}/chat/completions`,
      path: '/chat/completions',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json',
        authorization: `Bearer ${GIVEN_KEY}`,
        'x-own': 'ä=1',
      },
      body: '{"model":"small","messages":[{"role":"user","content":"ä 1.0 \\u2028"}],"n":1e2}',
      signal: new AbortController().signal,
      ...more,
    })

    test.each([
      [200, '{"ok":true}'],
      [200, ''],
      [200, '<html>no JSON</html>'],
      [400, '{"error":{"message":"no","code":"invalid"}}'],
      [401, '{"message":"no error inside"}'],
      [404, '<html>not found</html>'],
      [429, '{"error":{"message":"slow down"}}'],
      [500, 'plain text'],
      [502, ''],
      [503, '{"error":"a string"}'],
    ])('status, headers and body come through as they were sent: %i %s', async (status, body) => {
      const { url, requests } = await server(({ response }) =>
        reply(response, status, body, { 'x-request-id': 'abc', 'retry-after': '7' }),
      )
      const answer = await make(url).send(request(url))
      expect(answer.status).toBe(status)
      expect(answer.headers.get('x-request-id')).toBe('abc')
      expect(answer.headers.get('retry-after')).toBe('7')
      expect(await textOf(answer)).toBe(body)
      expect(requests, 'one request, whatever the status').toHaveLength(1)
    })

    test('an answer without a body is one', async () => {
      const { url } = await server(({ response }) => response.writeHead(204).end())
      const answer = await make(url).send(request(url))
      expect([answer.status, await textOf(answer)]).toEqual([204, ''])
    })

    test('the request arrives as it was given, at the path below the base', async () => {
      const { url, requests } = await server(({ response }) => reply(response, 200, '{}'))
      await textOf(await make(url).send(request(url)))
      const [received] = requests
      expect(received?.method).toBe('POST')
      expect(received?.path).toBe('/api/v1/chat/completions')
      expect(received?.body).toBe(request(url).body)
      expect(received?.headers).toMatchObject({
        'content-type': 'application/json',
        accept: 'application/json',
        authorization: `Bearer ${key}`,
        'x-own': 'ä=1',
      })
    })

    test('a list is asked for without a body', async () => {
      const { url, requests } = await server(({ response }) => reply(response, 200, '{"data":[]}'))
      const answer = await make(url).send(
        request(url, { method: 'GET', url: `${url}/models`, path: '/models', body: null }),
      )
      expect(await textOf(answer)).toBe('{"data":[]}')
      expect(requests).toMatchObject([{ method: 'GET', path: '/api/v1/models', body: '' }])
    })

    test.each(REDIRECTS)('a redirect is never followed: %i', async (status) => {
      const attacker = await server(({ response }) => reply(response, 200, '{"stolen":true}'))
      const { url, requests } = await server(({ response }) =>
        response.writeHead(status, { location: `${attacker.url}/chat/completions` }).end('elsewhere'),
      )
      const outcome = await make(url)
        .send(request(url))
        .then(
          (answer) => `status ${answer.status}`,
          (error: Error) => error.constructor.name,
        )
      expect([`status ${status}`, 'Redirected']).toContain(outcome)
      expect([requests.length, attacker.requests.length]).toEqual([1, 0])
    })

    test('a redirect to the same place is not followed either', async () => {
      const { url, requests } = await server(({ response }) =>
        response.writeHead(308, { location: '/api/v1/chat/completions' }).end(),
      )
      await make(url)
        .send(request(url))
        .catch(() => {})
      expect(requests).toHaveLength(1)
    })

    test('large bodies go and come whole', async () => {
      const { url, requests } = await server(({ response, body }) => reply(response, 200, body))
      const sent = JSON.stringify({ model: 'small', messages: [LARGE] })
      const answer = await make(url).send(request(url, { body: sent }))
      expect(await textOf(answer)).toBe(sent)
      expect(requests).toHaveLength(1)
    })

    test('a compressed answer is unpacked', async () => {
      const body = JSON.stringify({ text: LARGE })
      const { url } = await server(({ response }) =>
        reply(response, 200, gzipSync(body), { 'content-encoding': 'gzip' }),
      )
      expect(await textOf(await make(url).send(request(url)))).toBe(body)
    })

    test('an answer is there as soon as its headers are, and its body as it comes', async () => {
      const { url } = await server(async ({ response }) => {
        response.writeHead(200).flushHeaders()
      })
      const answer = await within(1000, make(url).send(request(url)))
      expect(answer.status).toBe(200)
      await answer.body?.cancel()
    })

    test('an error that never ends is given back with its headers', async () => {
      const { url } = await server(({ response }) => {
        response.writeHead(429, { 'retry-after': '1' }).write('{"error":')
      })
      const answer = await within(1000, make(url).send(request(url)))
      expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '1'])
      await answer.body?.cancel()
    })

    test('nobody there: an error with the code of the system somewhere in its causes', async () => {
      const url = await closedPort()
      const error = await make(url)
        .send(request(url))
        .catch((thrown: unknown) => thrown)
      expect(codesOf(error)).toContain('ECONNREFUSED')
    })

    test('a connection that is reset before an answer is an error', async () => {
      const { url } = await server(({ socket }) => void socket.resetAndDestroy())
      await expect(make(url).send(request(url))).rejects.toThrow()
    })

    test('a body that is reset on its way is an error when it is read', async () => {
      const { url } = await server(({ response, socket }) => {
        response.writeHead(200, { 'content-length': '1000' }).write('{"half":', () => socket.resetAndDestroy())
      })
      const answer = await make(url).send(request(url))
      await expect(textOf(answer)).rejects.toThrow('ended early')
    })

    test('what is no HTTP is an error', async () => {
      const raw = await serveRaw((socket) => socket.end('220 smtp.example.com ESMTP\r\n'))
      servers.push(raw)
      await expect(make(raw.url).send(request(raw.url))).rejects.toThrow()
    })

    describe('when it is aborted', () => {
      const reason = new Error('the caller had enough')

      test('before it is sent, nothing is', async () => {
        const { url, requests } = await server(({ response }) => reply(response, 200, '{}'))
        const error = await make(url)
          .send(request(url, { signal: AbortSignal.abort(reason) }))
          .catch((thrown: unknown) => thrown)
        expect(error).toBe(reason)
        expect(requests).toHaveLength(0)
      })

      test('while it waits, it throws the reason at once and closes the socket', async () => {
        const silent = await server(() => {})
        const controller = new AbortController()
        const sending = make(silent.url).send(request(silent.url, { signal: controller.signal }))
        sending.catch(() => {})
        await eventually(() => silent.requests.length === 1)
        const from = performance.now()
        controller.abort(reason)
        const error = await sending.catch((thrown: unknown) => thrown)
        expect(error).toBe(reason)
        expect(performance.now() - from).toBeLessThan(50)
        await eventually(() => silent.busy === 0)
      })

      test('in the middle of the body, the body breaks off and the socket is closed', async () => {
        const slow = await server(({ response }) => void response.writeHead(200).write('{"half":'))
        const controller = new AbortController()
        const answer = await make(slow.url).send(request(slow.url, { signal: controller.signal }))
        const reading = textOf(answer).catch((thrown: unknown) => thrown)
        const from = performance.now()
        controller.abort(reason)
        expect(await reading).toBeInstanceOf(Error)
        expect(performance.now() - from).toBeLessThan(50)
        await eventually(() => slow.busy === 0)
      })

      test('a body that nobody reads is let go of', async () => {
        const slow = await server(({ response }) => void response.writeHead(200).write('{"half":'))
        const answer = await make(slow.url).send(request(slow.url))
        await answer.body?.cancel()
        await eventually(() => slow.busy === 0)
      })
    })
  })
}

export function textOf(answer: WireReply): Promise<string> {
  return readText(answer, { most: 64 * 1024 * 1024, until: (step) => step })
}

async function within<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing within ${milliseconds} ms`)), milliseconds)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

function codesOf(error: unknown): string[] {
  const codes: string[] = []
  for (let at = error; at instanceof Error; at = at.cause) if ('code' in at) codes.push(String(at.code))
  return codes
}
