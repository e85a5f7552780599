#!/bin/sh
# Installs heartbeat from its source tree, after `cargo build --release`; run it again to upgrade.
#
#   sudo init/install.sh                      programs to /usr/lib/heartbeat, commands to /usr/bin and /usr/sbin
#   PREFIX=/usr/local init/install.sh         another place
#   DESTDIR=/tmp/package init/install.sh      into a directory tree, to make a package of
#   init/install.sh --from target/debug       other programs than those of target/release
#   init/install.sh --uninstall               removes what was installed
#
# ha.cf, haresources and authkeys are never touched; of the other files in /etc those that somebody has changed are kept.
# Over an installed heartbeat 3.0.6: its programs are put aside, and are back in their places after --uninstall. What runs
# goes on running until it is stopped.
set -eu

usage() {
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
}

PREFIX=${PREFIX:-/usr}
DESTDIR=${DESTDIR:-}
SYSCONFDIR=${SYSCONFDIR:-/etc}
STATEDIR=${STATEDIR:-/var/lib/heartbeat}
source_dir=$(cd "$(dirname "$0")/.." && pwd)
from=$source_dir/target/release
what=install
while [ $# -gt 0 ]; do
	case $1 in
	--uninstall) what=uninstall ;;
	--from)
		[ $# -ge 2 ] || { usage >&2; exit 2; }
		from=$2
		shift
		;;
	-h | --help)
		usage
		exit 0
		;;
	*)
		usage >&2
		exit 2
		;;
	esac
	shift
done
umask 022

libdir=$PREFIX/lib/heartbeat
docdir=$PREFIX/share/doc/heartbeat
# Programs of another heartbeat that ours stand in the place of.
aside=$libdir/replaced
# A line for each path we own: "file PATH", "conf CKSUM PATH", "dir PATH", and "aside PATH" for what was there before us;
# without DESTDIR.
manifest=$libdir/installed
new=$(mktemp)
trap 'rm -f "$new" "$new.1"' EXIT

say() { printf 'install.sh: %s\n' "$*"; }

# busybox has md5sum everywhere, and cksum not.
sum_of() {
	if command -v cksum >/dev/null; then
		cksum <"$1" | awk '{ print $1 "-" $2 }'
	else
		md5sum <"$1" | awk '{ print $1 }'
	fi
}

# What the last installation wrote to a file of /etc; empty if it was not ours.
known_sum() {
	[ -f "$DESTDIR$manifest" ] || return 0
	awk -v path="$1" '$1 == "conf" && $3 == path { print $2 }' "$DESTDIR$manifest"
}

# Directories that are not there yet become ours, to be removed when they are empty.
make_dir() { # PATH [MODE]
	if [ ! -d "$DESTDIR$1" ]; then
		case $1 in
		/ | '') ;;
		*) make_dir "$(dirname "$1")" ;;
		esac
		mkdir -p "$DESTDIR$1"
		if [ -n "${2:-}" ]; then chmod "$2" "$DESTDIR$1"; fi
		echo "dir $1" >>"$new"
	fi
}

# Somebody else's program in a place of ours: moved, so that a process that runs from it is not disturbed.
put_aside() { # PATH
	if [ ! -e "$DESTDIR$1" ] && [ ! -L "$DESTDIR$1" ]; then return 0; fi
	if [ -f "$DESTDIR$manifest" ] && grep -qxF -e "file $1" "$DESTDIR$manifest"; then return 0; fi
	if [ -f "$DESTDIR$manifest" ] && awk -v path="$1" '$1 == "conf" && $3 == path { found = 1 } END { exit !found }' "$DESTDIR$manifest"; then
		return 0
	fi
	mkdir -p "$DESTDIR$aside$(dirname "$1")"
	mv -f "$DESTDIR$1" "$DESTDIR$aside$1"
	echo "aside $1" >>"$new"
	say "$1 was another heartbeat's: it is in $aside now"
}

# Beside its final place, then renamed: a running program keeps the file it runs from.
put() { # MODE SOURCE PATH
	make_dir "$(dirname "$3")"
	put_aside "$3"
	cp "$2" "$DESTDIR$3.new"
	chmod "$1" "$DESTDIR$3.new"
	mv -f "$DESTDIR$3.new" "$DESTDIR$3"
	echo "file $3" >>"$new"
}

# With the directories of this installation written into it.
put_text() { # MODE SOURCE PATH
	sed "s|/usr/lib/heartbeat|$libdir|g" "$2" >"$new.1"
	put "$1" "$new.1" "$3"
}

# A file that the site may change. Ours as we left it: replaced; anything else: kept.
put_conf() { # MODE SOURCE PATH
	make_dir "$(dirname "$3")"
	sed "s|/usr/lib/heartbeat|$libdir|g" "$2" >"$new.1"
	if [ -e "$DESTDIR$3" ] && ! cmp -s "$new.1" "$DESTDIR$3"; then
		old=$(known_sum "$3")
		if [ "$old" != "$(sum_of "$DESTDIR$3")" ]; then
			say "$3 has been changed: kept"
			if [ -n "$old" ]; then echo "conf $old $3" >>"$new"; fi
			return 0
		fi
	fi
	cp "$new.1" "$DESTDIR$3"
	chmod "$1" "$DESTDIR$3"
	echo "conf $(sum_of "$DESTDIR$3") $3" >>"$new"
}

link() { # TARGET PATH
	make_dir "$(dirname "$2")"
	if [ -L "$DESTDIR$2" ] || [ ! -e "$DESTDIR$2" ]; then
		ln -sfn "$1" "$DESTDIR$2"
		echo "file $2" >>"$new"
	else
		say "$2 is somebody else's: kept"
	fi
}

# A link in a place where another heartbeat may have a program.
link_program() { # TARGET PATH
	make_dir "$(dirname "$2")"
	put_aside "$2"
	link "$1" "$2"
}

programs() {
	awk '/^\[\[bin\]\]/ { bin = 1; next } /^\[/ { bin = 0 } bin && $1 == "name" { gsub(/"/, "", $3); print $3 }' \
		"$source_dir/Cargo.toml"
}

install_programs() {
	for name in $(programs); do
		if [ ! -x "$from/$name" ]; then
			say "$from/$name is missing: run cargo build --release first" >&2
			exit 1
		fi
		put 755 "$from/$name" "$libdir/$name"
		# Where Debian had them: for old respawn lines, cron jobs and checks.
		case $name in
		heartbeat | ipfail | dopd | drbd-peer-outdater | send_arp) link_program "../../lib/heartbeat/$name" "$PREFIX/libexec/heartbeat/$name" ;;
		esac
		# Where scripts of the old program look.
		case $name in
		ResourceManager | mach_down | req_resource | hb_*) link_program "../../lib/heartbeat/$name" "$PREFIX/share/heartbeat/$name" ;;
		esac
		case $name in
		cl_status | hb_lab) link_program "../lib/heartbeat/$name" "$PREFIX/bin/$name" ;;
		heartbeat | meatclient | drbdctl | hb_* | crm | crm_* | crmadmin | cibadmin | attrd_updater) link_program "../lib/heartbeat/$name" "$PREFIX/sbin/$name" ;;
		esac
	done
}

install_texts() {
	for page in "$source_dir"/man/*.[1-8]; do
		put 644 "$page" "$PREFIX/share/man/man${page##*.}/${page##*/}"
	done
	for file in README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE ha.d/ha.cf ha.d/haresources ha.d/monitors; do
		if [ -f "$source_dir/$file" ]; then put_text 644 "$source_dir/$file" "$docdir/${file##*/}"; fi
	done
	# A copy of it in /etc/ha.d must not be readable by others, so it begins like that.
	if [ -f "$source_dir/ha.d/authkeys" ]; then put 600 "$source_dir/ha.d/authkeys" "$docdir/authkeys"; fi
}

# A script of 3.0.6, known by words that ours do not have, goes aside for ours; one of the site's own is kept.
old_script() { # PATH
	if [ -f "$DESTDIR$1" ] && [ ! -L "$DESTDIR$1" ] &&
		grep -q -e '/etc/ha.d/resource.d//hto-mapfuncs' -e 'OCF_RES_VERSION_MAJOR' -e '^OCF_RA_DIR=' "$DESTDIR$1"; then
		put_aside "$1"
	fi
}

install_site() {
	etc=$SYSCONFDIR/ha.d
	put_conf 755 "$source_dir/ha.d/harc" "$etc/harc"
	put_conf 755 "$source_dir/ha.d/shellfuncs" "$etc/shellfuncs"
	put_conf 644 "$source_dir/ha.d/README" "$etc/README"
	for file in "$source_dir"/ha.d/rc.d/* "$source_dir"/ha.d/resource.d/*; do
		if [ ! -f "$file" ]; then continue; fi
		old_script "$etc/${file#"$source_dir"/ha.d/}"
		mode=644
		if [ -x "$file" ]; then mode=755; fi
		put_conf "$mode" "$file" "$etc/${file#"$source_dir"/ha.d/}"
	done
	for name in IPaddr IPaddr2 IPv6addr OCF; do
		old_script "$etc/resource.d/$name"
		case $name in
		OCF) link "$libdir/OCF" "$etc/resource.d/$name" ;;
		*) link "$libdir/IPaddr" "$etc/resource.d/$name" ;;
		esac
	done
	# That of drbd-utils promotes, too, but cannot say why it does not.
	if [ -f "$DESTDIR$etc/resource.d/drbddisk" ] && grep -q 'Philipp Reisner' "$DESTDIR$etc/resource.d/drbddisk"; then
		put_aside "$etc/resource.d/drbddisk"
	fi
	link "$libdir/drbddisk" "$etc/resource.d/drbddisk"
	for agent in "$source_dir"/ha.d/ocf/*; do
		put_text 755 "$agent" "$PREFIX/lib/ocf/resource.d/heartbeat/${agent##*/}"
	done
}

install_service() {
	# The old one runs the old program. What a site says about it is in /etc/default.
	if [ -f "$DESTDIR$SYSCONFDIR/init.d/heartbeat" ] && grep -q 'HA_NOARCHBIN' "$DESTDIR$SYSCONFDIR/init.d/heartbeat"; then
		put_aside "$SYSCONFDIR/init.d/heartbeat"
	fi
	put_conf 755 "$source_dir/init/heartbeat" "$SYSCONFDIR/init.d/heartbeat"
	put_conf 644 "$source_dir/init/logrotate" "$SYSCONFDIR/logrotate.d/heartbeat"
	put_text 644 "$source_dir/init/heartbeat.service" "$PREFIX/lib/systemd/system/heartbeat.service"
	rc=$SYSCONFDIR init=../init.d/heartbeat
	if [ -d "$DESTDIR$SYSCONFDIR/rc.d/rc3.d" ]; then rc=$SYSCONFDIR/rc.d init=../../init.d/heartbeat; fi
	for level in 2 3 4 5; do link "$init" "$rc/rc$level.d/S75heartbeat"; done
	for level in 0 1 6; do link "$init" "$rc/rc$level.d/K05heartbeat"; done
}

# The highest id of a system user or group that is free in that file.
free_id() { # FILE
	id=999
	while grep -q "^[^:]*:[^:]*:$id:" "$1"; do id=$((id - 1)); done
	echo "$id"
}

# With the tools of shadow, those of busybox, or none: the lines are the same.
make_group() {
	if command -v groupadd >/dev/null; then
		groupadd -r haclient
	elif command -v addgroup >/dev/null; then
		addgroup -S haclient
	else
		echo "haclient:x:$(free_id /etc/group):" >>/etc/group
	fi
}

make_user() {
	if command -v useradd >/dev/null; then
		useradd -r -g haclient -d "$STATEDIR" -s /usr/sbin/nologin -c 'heartbeat' hacluster
	elif command -v adduser >/dev/null; then
		adduser -S -D -H -G haclient -h "$STATEDIR" -s /sbin/nologin hacluster
	else
		group=$(awk -F : '$1 == "haclient" { print $3 }' /etc/group)
		echo "hacluster:*:$(free_id /etc/passwd):$group:heartbeat:$STATEDIR:/sbin/nologin" >>/etc/passwd
	fi
}

# Only on the machine itself: in a package this is the business of its scripts.
make_users() {
	if [ -n "$DESTDIR" ]; then return 0; fi
	if ! grep -q '^haclient:' /etc/group; then make_group; fi
	if ! grep -q '^hacluster:' /etc/passwd; then make_user; fi
}

install_state() {
	make_dir "$STATEDIR" 755
	# Clients make their FIFOs here: for the group, nobody can list or remove those of others.
	for name in api casual; do make_dir "$STATEDIR/$name" 3730; done
	if [ -z "$DESTDIR" ]; then
		chgrp haclient "$STATEDIR/api" "$STATEDIR/casual"
		chmod 3730 "$STATEDIR/api" "$STATEDIR/casual"
		# So that every user may ask how the cluster is.
		chgrp haclient "$libdir/cl_status"
		chmod 2755 "$libdir/cl_status"
	fi
}

# What the last version had and this one has not. Its directories stay ours.
remove_leftovers() {
	[ -f "$DESTDIR$manifest" ] || return 0
	grep -e '^dir ' -e '^aside ' "$DESTDIR$manifest" >>"$new" || true
	awk '$1 == "file" { print $2 }' "$DESTDIR$manifest" | while read -r path; do
		if ! grep -qxF "file $path" "$new"; then rm -f "$DESTDIR$path"; fi
	done
}

install_all() {
	make_users
	install_programs
	install_texts
	install_site
	install_service
	install_state
	remove_leftovers
	echo "file $manifest" >>"$new"
	sort -u "$new" >"$new.1"
	cp "$new.1" "$DESTDIR$manifest"
	chmod 644 "$DESTDIR$manifest"
	if [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; then systemctl daemon-reload || true; fi
	say "done; samples of ha.cf, haresources and authkeys are in $docdir"
}

uninstall_all() {
	if [ ! -f "$DESTDIR$manifest" ]; then
		say "$DESTDIR$manifest is not there: nothing was installed with this PREFIX and DESTDIR" >&2
		exit 1
	fi
	cp "$DESTDIR$manifest" "$new"
	while read -r kind first second; do
		case $kind in
		file) rm -f "$DESTDIR$first" ;;
		conf)
			if [ ! -f "$DESTDIR$second" ]; then
				continue
			elif [ "$(sum_of "$DESTDIR$second")" = "$first" ]; then
				rm -f "$DESTDIR$second"
			else
				say "$second has been changed: kept"
			fi
			;;
		esac
	done <"$new"
	while read -r kind path; do
		if [ "$kind" = aside ] && [ ! -e "$DESTDIR$path" ] && [ ! -L "$DESTDIR$path" ]; then
			mv "$DESTDIR$aside$path" "$DESTDIR$path"
			say "$path is back"
		fi
	done <"$new"
	find "$DESTDIR$aside" -depth -type d -exec rmdir {} \; 2>/dev/null || true
	# The inner ones first.
	awk '$1 == "dir" { print $2 }' "$new" | sort -r | while read -r path; do
		rmdir "$DESTDIR$path" 2>/dev/null || true
	done
	say "removed; configuration and state are kept"
}

"${what}_all"
