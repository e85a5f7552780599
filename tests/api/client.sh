#!/bin/sh
# A client of the API in shell, as hb_api(7) tells how to write one.
#
# client.sh NAME: signs on as NAME, lists the nodes, waits until a client of that name has joined on another node,
# greets it, waits for its greeting, and signs off. Prints a line for each. Needs a line `apiauth NAME uid=USER` in
# ha.cf on every node. Whoever joins second hears no join of the first: so each greets again whom it hears.

set -eu
name=${1:?usage: client.sh NAME}
state=${HA_VARLIB:-/var/lib/heartbeat}
req=$state/api/$name.req
rsp=$state/api/$name.rsp

die() {
	echo "client.sh: $*" >&2
	exit 1
}

# Reads the next message from the daemon; its fields are the lines of $message.
receive() {
	message=
	while IFS= read -r line <&4; do
		case $line in
		'>>>') message= ;;
		'<<<') return 0 ;;
		*) message="$message$line
" ;;
		esac
	done
	die "heartbeat has ended the conversation"
}

# The value of a field of $message.
field() {
	printf '%s' "$message" | sed -n "s/^$1=//p" | sed 1q
}

# One message, written at once: the fields are the arguments.
say() {
	text='>>>
'
	for word in "$@"; do
		text="$text$word
"
	done
	printf '%s<<<\n' "$text"
}

[ -p "$state/register" ] || die "heartbeat is not running here"
rm -f "$req" "$rsp"
trap 'rm -f "$req" "$rsp"' EXIT
umask 0
mkfifo -m 640 "$req"
mkfifo -m 620 "$rsp"
# For both directions: it does not wait for the daemon, and sees no end of file before that has opened its end.
exec 4<>"$rsp"
say t=hbapi-req reqtype=signon pid=$$ from_id="$name" >"$state/register"
receive
[ "$(field result)" = OK ] || die "signon: $(field info)"
me=$(field node)
# It stays open: closing it would be the end.
exec 3>"$req"
echo "signed on at $me"

heard= told=
greet() {
	say t=greeting dest="$1" words="hello $1" >&3
	told=$1
}

# What $message says, when it is no answer.
event() {
	from=$(field src)
	# What it says itself, and its own join, come back too.
	[ "$from" != "$me" ] || return 0
	case $(field t)/$(field st) in
	hbapi-clstat/join)
		echo "joined $from"
		greet "$from"
		;;
	hbapi-clstat/leave) echo "left $from" ;;
	greeting/*)
		echo "$from says: $(field words)"
		heard=$from
		[ -n "$told" ] || greet "$from"
		;;
	hbapi-resp/*) die "refused: $(field info)" ;;
	esac
}

say t=hbapi-req reqtype=nodelist dest="$me" pid=$$ from_id="$name" >&3
while receive; do
	# Events come between the answers: they are not to be lost.
	if [ "$(field reqtype)" != nodelist ]; then
		event
		continue
	fi
	echo "node $(field node) $(field nodetype) $(field st)"
	[ "$(field result)" = ok/more ] || break
done
while [ -z "$heard" ] || [ -z "$told" ]; do
	receive
	event
done
say t=hbapi-req reqtype=signoff dest="$me" pid=$$ from_id="$name" >&3
echo "signed off"
