#!/bin/sh
# Kamailio 5.6.3 (Debian 12), module db_sqlite.
#
# With `db_set_journal_mode` WAL every process of Kamailio sets the mode when it connects, also in a file that has it already. All processes
# connect at the same moment, SQLite locks the file while the first one reads its journal, and db_sqlite does not wait for a lock. Now and
# then a process ends, and Kamailio with it. Without the parameter, in a file whose mode was set once, no start fails.
#
# The output that was seen; the number of the start that failed is another one each time:
#
#   with db_set_journal_mode: start 38 ended with "database is locked"
#   without it: 100 starts, 0 ended
set -eu

folder=$(mktemp -d)
server=
trap 'test -z "$server" || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
cd "$folder"
apt-get -qq download kamailio=5.6.3-2 kamailio-sqlite-modules=5.6.3-2 sqlite3=3.40.1-2+deb12u2
for package in *.deb; do dpkg-deb --extract "$package" root; done
export LD_LIBRARY_PATH="$folder/root/usr/lib/x86_64-linux-gnu/kamailio"
(cd root/usr/share/kamailio/db_sqlite && cat standard-create.sql usrloc-create.sql) | root/usr/bin/sqlite3 users
root/usr/bin/sqlite3 users 'PRAGMA journal_mode=WAL' > mode

cat > kamailio.cfg <<CONFIG
listen=udp:127.0.0.1:39072
children=8
disable_tcp=yes
loadmodule "tm.so"
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "db_sqlite.so"
loadmodule "usrloc.so"
#!ifdef SETS
modparam("db_sqlite", "db_set_journal_mode", "$folder/users=WAL")
#!endif
modparam("usrloc", "db_url", "sqlite:///$folder/users")
modparam("usrloc", "db_mode", 2)
modparam("usrloc", "db_load", 0)
request_route {
	exit;
}
CONFIG

# Starts Kamailio up to $1 times, until one start ends by itself. The rest are its options.
starts() {
	most=$1 start=0 ended=0
	shift
	while [ "$start" -lt "$most" ] && [ "$ended" -eq 0 ]; do
		start=$((start + 1))
		root/usr/sbin/kamailio -L "$folder/root/usr/lib/x86_64-linux-gnu/kamailio/modules" -f kamailio.cfg -Y "$folder" \
			-DD -E "$@" > log 2>&1 &
		server=$!
		sleep 0.5
		kill -0 "$server" 2>/dev/null || ended=1
		kill "$server" 2>/dev/null || true
		wait "$server" 2>/dev/null || true
		server=
	done
}

starts 400 -A SETS
if [ "$ended" -eq 1 ] && grep -q 'database is locked' log; then
	echo "with db_set_journal_mode: start $start ended with \"database is locked\""
else
	echo "with db_set_journal_mode: $start starts, $ended ended"
	tail -n 5 log
	exit 1
fi
starts 100
echo "without it: $start starts, $ended ended"
test "$ended" -eq 0
