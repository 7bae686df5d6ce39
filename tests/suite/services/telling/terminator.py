"""HTTPS in front of a server that speaks HTTP. It prints its port.

terminator.py CERTIFICATE KEY PORT
It ends with its standard input.
"""
import asyncio
import os
import ssl
import sys
import threading


async def pass_on(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def serve(near_in, near_out):
    far_in, far_out = await asyncio.open_connection("127.0.0.1", int(sys.argv[3]))
    await asyncio.gather(pass_on(near_in, far_out), pass_on(far_in, near_out))


async def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[1:3])
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
asyncio.run(main())
