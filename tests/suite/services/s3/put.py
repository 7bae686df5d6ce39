"""Puts an object under a key that no library of addresses would leave alone: host, bucket, key, access key; the secret
key comes from standard input."""
import datetime
import hashlib
import hmac
import sys
import urllib.request

host, bucket, key, access = sys.argv[1:]
secret = sys.stdin.read()
now = datetime.datetime.now(datetime.timezone.utc)
day, time = now.strftime("%Y%m%d"), now.strftime("%Y%m%dT%H%M%SZ")
scope = f"{day}/us-east-1/s3/aws4_request"
query = (
    f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={access}%2F{scope.replace('/', '%2F')}"
    f"&X-Amz-Date={time}&X-Amz-Expires=60&X-Amz-SignedHeaders=host"
)
request = f"PUT\n/{bucket}/{key}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
text = f"AWS4-HMAC-SHA256\n{time}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
mac = ("AWS4" + secret).encode()
for part in (day, "us-east-1", "s3", "aws4_request", text):
    mac = hmac.new(mac, part.encode(), hashlib.sha256).digest()
url = f"http://{host}/{bucket}/{key}?{query}&X-Amz-Signature={mac.hex()}"
urllib.request.urlopen(urllib.request.Request(url, data=b"odd", method="PUT"))
