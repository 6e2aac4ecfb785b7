#!/bin/bash
# OpenSSL 4.0.3 (in the wheel of cryptography 50.0.2, PyPI) makes the first RSA signature of every thread dearer; 3.5.6 (46.0.7) does not.
#
# A signature with RSA hides the key from whoever measures time by a blinding factor, which costs a modular inverse. Up to 3.5 a key
# has one factor for the thread that used it first and one for all others. Later each thread has its own for each key, and makes it
# with its first signature. A server with a thread for each call, which signs once in its DTLS handshake,
# pays that with every call. It is measured in CPU time of the thread, 100 threads that are alive together, each with two signatures.
#
# Output seen:
#   cryptography 46.0.7, OpenSSL 3.5.6: first signature of a thread 718 us, second 677 us, ratio 1.06
#   cryptography 50.0.2, OpenSSL 4.0.3: first signature of a thread 1182 us, second 703 us, ratio 1.68
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat > sign.py <<'PY'
import statistics, sys, threading, time
from importlib.metadata import version

from cryptography.hazmat.backends.openssl import backend
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

THREADS = 100
key = rsa.generate_private_key(65537, 2048)
signatures = ([], [])
begin, end = threading.Barrier(THREADS), threading.Barrier(THREADS)


def sign():
    before = time.thread_time()
    key.sign(b"octets", padding.PKCS1v15(), hashes.SHA256())
    return (time.thread_time() - before) * 1e6


def work():
    begin.wait()
    for times in signatures:
        times.append(sign())
    # A thread that ends gives its number to the next one.
    end.wait()


sign()
threads = [threading.Thread(target=work) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
first, second = map(statistics.median, signatures)
openssl = backend.openssl_version_text().split()[1]
print(f"cryptography {version('cryptography')}, OpenSSL {openssl}: "
      f"first signature of a thread {first:.0f} us, second {second:.0f} us, ratio {first / second:.2f}")
least, most = map(float, sys.argv[1:])
sys.exit(not least <= first / second <= most)
PY
changed=0
for wanted in "46.0.7 0 1.25" "50.0.2 1.4 9"; do
    read -r version least most <<< "$wanted"
    python3 -m venv "$version"
    "$version/bin/pip" install --quiet --disable-pip-version-check "cryptography==$version" >&2
    "$version/bin/python" sign.py "$least" "$most" || changed=1
done
exit "$changed"
