"""rpc-server.py KIND PATH: servers as they are in the wild, one connection after the other; prints a line when it listens.

lightningd   answers pretty-printed, two newlines after each, keeps the connection open, sends a notification before
geth         reads bare or in lines, one or a batch, answers in lines
late         answers after a moment, in two parts, and keeps the connection open
qmp, mpv     as QEMU and mpv do, with events in between
qmp-busy     as QEMU, but it refuses everything
lsp          Content-Length headers both ways
nul          NUL behind each message both ways
twisted      answers two calls at a time, the later one first
closing      closes without an answer
silent       never answers
garbage      answers what is no JSON
version1     answers as JSON-RPC 1.0 did
anonymous    answers an error that names no call
"""
import json
import socket
import sys
import time

kind, path = sys.argv[1:]


def messages(connection):
    """Values one after the other, whatever is between them."""
    decoder = json.JSONDecoder()
    held = ''
    while True:
        held = held.lstrip(' \r\n\t\0')
        while held.startswith('Content-'):
            head, _, held = held.partition('\r\n\r\n')
        try:
            value, end = decoder.raw_decode(held)
        except ValueError:
            piece = connection.recv(65536)
            if not piece:
                return
            held += piece.decode()
            continue
        held = held[end:]
        yield value


def result_of(request):
    if request['method'] == 'fail':
        return {'error': {'code': -32050, 'message': 'No such thing', 'data': {'why': ['a', 1]}}}
    return {'result': {'method': request['method'], 'params': request.get('params')}}


def response(request):
    return {'jsonrpc': '2.0', **result_of(request), 'id': request.get('id')}


def serve(connection):
    def say(text):
        connection.sendall(text.encode())

    if kind in ('qmp', 'qmp-busy'):
        say('{"QMP": {"version": {"qemu": {"micro": 0, "minor": 2, "major": 9}}, "capabilities": ["oob"]}}\r\n')
        ready = False
        for request in messages(connection):
            say('{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "RESUME"}\r\n')
            identity = {'id': request['id']} if 'id' in request else {}
            name = request['execute']
            if kind == 'qmp-busy':
                answer = {'error': {'class': 'GenericError', 'desc': 'Somebody else is here'}}
            elif name == 'qmp_capabilities':
                ready = True
                answer = {'return': {}}
            elif not ready:
                answer = {'error': {'class': 'CommandNotFound', 'desc': 'Expecting capabilities negotiation'}}
            elif name == 'query-status':
                answer = {'return': {'status': 'running', 'arguments': request.get('arguments')}}
            elif name == 'query-commands':
                answer = {'return': [{'name': 'query-status'}, {'name': 'stop'}]}
            else:
                answer = {'error': {'class': 'CommandNotFound', 'desc': f'The command {name} has not been found'}}
            say(json.dumps({**answer, **identity}) + '\r\n')
        return
    waiting = []
    for request in messages(connection):
        if kind == 'lightningd':
            say(json.dumps({'jsonrpc': '2.0', 'method': 'log', 'params': {'level': 'info'}}) + '\n\n')
            say(json.dumps(response(request), indent=3) + '\n\n')
        elif kind == 'geth':
            many = isinstance(request, list)
            answers = [response(one) for one in (request if many else [request])]
            say(json.dumps(answers if many else answers[0]) + '\n')
        elif kind == 'late':
            text = json.dumps(response(request)) + '\n'
            time.sleep(0.2)
            say(text[:20])
            time.sleep(0.2)
            say(text[20:])
        elif kind == 'mpv':
            say('{"event":"idle"}\n')
            command = request['command']
            identity = {'request_id': request.get('request_id', 0)}
            if type(identity['request_id']) is not int or not -2**63 <= identity['request_id'] < 2**63:
                identity = {'request_id': 0}
                answer = {'error': 'invalid parameter'}
            elif command == ['get_property', 'volume']:
                answer = {'data': 100.0, 'error': 'success'}
            elif command == ['get_property', 'command-list']:
                answer = {'data': [{'name': 'seek', 'args': []}, {'name': 'quit', 'args': []}], 'error': 'success'}
            elif isinstance(command, dict):
                answer = {'data': command, 'error': 'success'}
            else:
                answer = {'error': 'invalid parameter'}
            say(json.dumps({**answer, **identity}) + '\n')
        elif kind == 'lsp':
            text = json.dumps(response(request))
            say(f'Content-Length: {len(text)}\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n{text}')
        elif kind == 'nul':
            say(json.dumps(response(request)) + '\0')
        elif kind == 'twisted':
            waiting.append(request)
            if len(waiting) == 2:
                say(json.dumps(response(waiting[1])) + json.dumps(response(waiting[0])))
                waiting = []
        elif kind == 'closing':
            return
        elif kind == 'garbage':
            say('HTTP/1.1 400 Bad Request\r\n\r\n')
        elif kind == 'version1':
            say(json.dumps({'result': 42, 'error': None, 'id': request['id']}) + '\n')
        elif kind == 'anonymous':
            say('{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error"},"id":null}\n')


listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen()
print(flush=True)
while True:
    connection, _ = listener.accept()
    try:
        serve(connection)
    except (BrokenPipeError, ConnectionResetError):
        pass
    connection.close()
