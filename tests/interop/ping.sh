#!/bin/sh
# A client of our FIFOs that talks to the api_test of heartbeat 3.0.6, whose name is `ping` too: asks every second until
# it was answered, answers whoever asks, and prints what it hears of the other node. Ends when it has been asked, has
# been answered, and has seen the other one go.
set -eu
state=${HA_VARLIB:-/var/lib/heartbeat}
req=$state/api/ping.req rsp=$state/api/ping.rsp
rm -f "$req" "$rsp"
umask 0
mkfifo -m 640 "$req"
mkfifo -m 620 "$rsp"
exec 4<>"$rsp"

say() {
	text='>>>
'
	for word in "$@"; do
		text="$text$word
"
	done
	printf '%s<<<\n' "$text"
}
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
	exit 1
}
field() {
	printf '%s' "$message" | sed -n "s/^$1=//p" | sed 1q
}

say t=hbapi-req reqtype=signon pid=$$ from_id=ping >"$state/register"
receive
[ "$(field result)" = OK ] || { echo "refused: $(field info)"; exit 1; }
me=$(field node)
exec 3>"$req"
echo "signed on"
say t=ping >&3
asked="" answered="" left=""
while [ -z "$asked" ] || [ -z "$answered" ] || [ -z "$left" ]; do
	receive
	from=$(field src)
	[ "$from" != "$me" ] || continue
	case $(field t)/$(field st) in
	hbapi-clstat/join) echo "joined $from"; say t=ping dest="$from" >&3 ;;
	hbapi-clstat/leave) echo "left $from"; left=1 ;;
	ping/*) echo "asked by $from"; asked=1; say t=pingreply dest="$from" >&3 ;;
	pingreply/*) [ -n "$answered" ] || echo "answered by $from"; answered=1 ;;
	esac
done
say t=hbapi-req reqtype=signoff dest="$me" pid=$$ from_id=ping >&3
echo "signed off"
