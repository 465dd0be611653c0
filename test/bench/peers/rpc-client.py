"""rpc-client.py PATH : each line of stdin as a request, the next one when it has been answered; answers to stdout."""
import socket
import sys

connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
answers = connection.makefile('rb')
for line in sys.stdin.buffer:
    connection.sendall(line)
    sys.stdout.buffer.write(answers.readline())
