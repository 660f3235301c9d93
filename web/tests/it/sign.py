"""Signs bodies with Retell's official SDK: one JSON object a line on stdin {"body", "key"}, one header a line on stdout."""

import json
import sys

from retell.lib.webhook_auth import symmetric

for line in sys.stdin:
    asked = json.loads(line)
    print(symmetric["sign"](asked["body"], asked["key"]), flush=True)
