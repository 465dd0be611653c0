"""A worker for `serve --worker`: answers with what it was asked, dies, sleeps, or prints what is no answer."""
import json
import os
import sys
import time

for line in sys.stdin:
    request = json.loads(line)
    method, params = request['method'], request.get('params')
    if method == 'die':
        os._exit(7)
    if method == 'sleep':
        time.sleep(params[0])
    if method == 'text':
        print('no JSON at all', flush=True)
        continue
    answer = {'result': os.getpid() if method == 'pid' else {**request['peer']} if method == 'peer' else params}
    if method == 'fail':
        answer = {'error': {'code': 5, 'message': 'as you wish', 'data': params}}
    print(json.dumps({'jsonrpc': '2.0', 'id': request['id'], **answer}), flush=True)
