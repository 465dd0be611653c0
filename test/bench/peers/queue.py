"""queue.py send NAME | recv NAME COUNT | once NAME TEXT: as queue.c, by posix_ipc."""
import sys

import posix_ipc

verb, name, *rest = sys.argv[1:]
if verb == "recv":
    queue = posix_ipc.MessageQueue(name, write=False)
    for _ in range(int(rest[0])):
        sys.stdout.buffer.write(queue.receive()[0] + b"\n")
else:
    queue = posix_ipc.MessageQueue(name, read=False)
    for line in sys.stdin.buffer if verb == "send" else [rest[0].encode()]:
        queue.send(line.rstrip(b"\n"))
