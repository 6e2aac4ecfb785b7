#!/bin/sh
# Unpacks Autobahn's test suite into a folder and leaves a `wstest` in it that tests/e2e/tests/autobahn.rs runs:
#
#   tests/autobahn/unpack.sh /some/folder
#   WSTEST=/some/folder/wstest cargo test --release --package e2e --test autobahn -- --ignored --nocapture
#
# The suite needs Python 2.7 with pip: PYTHON names one (Debian 11 has the packages). Do not add any of it to the repository.
set -eu

folder=$1
python=${PYTHON:-python2.7}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

# The last compatible releases that run on Python 2.7.
"$python" -m pip install --quiet --target "$folder/packages" \
    'autobahntestsuite==0.8.2' 'autobahn==0.10.9' 'klein==17.10.0' 'Werkzeug==0.16.1' 'txaio==2.1.0' \
    'Twisted==20.3.0' 'zope.interface==5.5.2' 'unittest2==1.1.0' 'Jinja2==2.11.3' 'MarkupSafe==1.1.1' \
    'hyperlink==21.0.0' 'incremental==17.5.0' 'attrs==21.4.0' 'Automat==0.8.0' 'PyHamcrest==1.10.1' \
    'pyOpenSSL==21.0.0' 'cryptography==3.3.2' 'service-identity==18.1.0' 'wsaccel==0.6.2'
# Python supports namespace packages only in its own directories.
touch "$folder/packages/zope/__init__.py"

cat > "$folder/wstest" <<WSTEST
#!/bin/sh
PYTHONPATH="$folder/packages" exec "$python" "$folder/packages/bin/wstest" "\$@"
WSTEST
chmod +x "$folder/wstest"
echo "$folder/wstest"
