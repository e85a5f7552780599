#!/bin/sh
# Makes a Debian package of what init/install.sh installs, after `cargo build --release` (or --profile dist, which is smaller).
#
#   init/build-deb.sh                     into target/debian/heartbeat_2%3aVERSION-1_ARCH.deb
#   init/build-deb.sh --from target/dist  other programs than those of target/release
#   init/build-deb.sh --revision 2        another number of this package of the same version
#   init/build-deb.sh --to DIR            another directory
#
# It takes the place of Debian's heartbeat 3.0.6, whose version is 1:3.0.6-13: hence the 2: before ours. Needs dpkg-dev and
# binutils, and no root. DEBFULLNAME and DEBEMAIL name who maintains it. The last line it prints is the package's path.
set -eu

usage() {
	sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
}

source_dir=$(cd "$(dirname "$0")/.." && pwd)
from=$source_dir/target/release
to=$source_dir/target/debian
revision=1
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help)
		usage
		exit 0
		;;
	esac
	[ $# -ge 2 ] || { usage >&2; exit 2; }
	case $1 in
	--from) from=$2 ;;
	--to) to=$2 ;;
	--revision) revision=$2 ;;
	*)
		usage >&2
		exit 2
		;;
	esac
	shift 2
done
for tool in dpkg-deb dpkg-shlibdeps strip; do
	if ! command -v "$tool" >/dev/null; then
		echo "build-deb.sh: $tool is not installed: apt-get install dpkg-dev binutils" >&2
		exit 1
	fi
done
umask 022
# The same tree gives the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$source_dir" log -1 --format=%ct 2>/dev/null || date +%s)}
export SOURCE_DATE_EPOCH

version=2:$(sed -n 's/^version = "\(.*\)"/\1/p' "$source_dir/Cargo.toml" | head -n 1)-$revision
arch=$(dpkg --print-architecture)
mkdir -p "$to"
to=$(cd "$to" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
tree=$work/tree
doc=$tree/usr/share/doc/heartbeat

stripped_programs() {
	mkdir "$work/programs"
	for file in "$from"/*; do
		if [ -f "$file" ] && [ -x "$file" ]; then
			strip --strip-unneeded -R .comment -R .note -o "$work/programs/${file##*/}" "$file" 2>/dev/null || true
		fi
	done
}

# What is another's business in a package: the list of files is dpkg's, the links in rcN.d are update-rc.d's.
leave_out() {
	rm "$tree/usr/lib/heartbeat/installed" "$doc/LICENSE-MIT" "$doc/LICENSE-APACHE"
	rm -r "$tree"/etc/rc?.d
}

# Debian's places and forms.
debian_forms() {
	mkdir -p "$tree/lib/systemd"
	mv "$tree/usr/lib/systemd/system" "$tree/lib/systemd/system"
	rmdir "$tree/usr/lib/systemd"
	find "$tree/usr/share/man" -type f | while read -r page; do
		other=$(sed -n '1s/^\.so //p' "$page")
		if [ -n "$other" ]; then
			rm "$page"
			ln -s "${other#*/}.gz" "$page.gz"
		else
			gzip -9n "$page"
		fi
	done
	mv "$doc/CHANGELOG.md" "$doc/changelog"
	cat >"$doc/changelog.Debian" <<-END
		heartbeat ($version) unstable; urgency=medium

		  * Made from the source tree; changelog.gz says what is new.

		 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
	END
	gzip -9n "$doc/changelog" "$doc/changelog.Debian"
	cp "$source_dir/init/deb/copyright" "$doc/copyright"
	mkdir -p "$tree/usr/share/lintian/overrides"
	cp "$source_dir/init/deb/lintian-overrides" "$tree/usr/share/lintian/overrides/heartbeat"
}

# dpkg keeps no links among the files that a site may change: postinst makes those of /etc, where nothing else is.
links_of_etc() {
	# resource-agents has a file of this name, and keeps it.
	mv "$tree/etc/ha.d/shellfuncs" "$tree/usr/share/heartbeat/shellfuncs"
	ln -s /usr/share/heartbeat/shellfuncs "$tree/etc/ha.d/shellfuncs"
	find "$tree/etc" -type l | sort | while read -r link; do
		echo "${link#"$tree"} $(readlink "$link")"
		rm "$link"
	done
}

# The programs and pages that other packages have, too: theirs are put aside while ours are installed.
foreign() { # OF_PACKAGE PATH...
	package=$1
	shift
	for path in "$@"; do
		if [ ! -e "$tree$path" ] && [ ! -L "$tree$path" ]; then continue; fi
		case $path in
		*.8.gz) echo "$package $path ${path%.8.gz}.$package.8.gz" ;;
		*) echo "$package $path $path.$package" ;;
		esac
	done
}

# The crm has the commands of Pacemaker: one of them can be on a machine.
conflicts() {
	if find "$tree/usr/bin" "$tree/usr/sbin" -name 'crm*' -o -name cibadmin | grep -q .; then
		echo "Conflicts: pacemaker, pacemaker-cli-utils, crmsh"
	fi
}

libraries() {
	mkdir -p "$work/shlibs/debian"
	printf 'Source: heartbeat\n\nPackage: heartbeat\nArchitecture: any\n' >"$work/shlibs/debian/control"
	# Of static programs it says that they need nothing, on stderr.
	(cd "$work/shlibs" && find "$tree/usr/lib/heartbeat" -type f -perm -u+x -exec dpkg-shlibdeps -O {} + 2>/dev/null) |
		sed -n 's/^shlibs:Depends=/, /p'
}

# A script of the package, with the lists of this tree in it.
script() { # NAME
	sed -e "s|@VERSION@|$version|g" -e "/^@LINKS@\$/{r $work/links" -e 'd}' -e "/^@FOREIGN@\$/{r $work/foreign" -e 'd}' \
		"$source_dir/init/deb/$1" >"$tree/DEBIAN/$1"
	chmod 755 "$tree/DEBIAN/$1"
}

control() {
	mkdir "$tree/DEBIAN"
	for name in preinst postinst prerm postrm; do script "$name"; done
	find "$tree/etc" -type f | sed "s|^$tree||" | sort >"$tree/DEBIAN/conffiles"
	(cd "$tree" && find . -path ./DEBIAN -prune -o -path ./etc -prune -o -type f -print | sed 's|^\./||' | sort |
		xargs -d '\n' md5sum) >"$tree/DEBIAN/md5sums"
	size=$(du -sk --exclude=DEBIAN "$tree" | cut -f 1)
	{
		sed -e "s|@VERSION@|$version|" -e "s|@ARCH@|$arch|" -e "s|@SIZE@|$size|" -e "s|@MAINTAINER@|$maintainer|" \
			-e "s|@LIBRARIES@|$(libraries)|" "$source_dir/init/deb/control" | sed '/^Description:/,$d'
		conflicts
		sed -n '/^Description:/,$p' "$source_dir/init/deb/control"
	} >"$tree/DEBIAN/control"
}

maintainer="${DEBFULLNAME:-heartbeat maintainers} <${DEBEMAIL:-maintainers@heartbeat.invalid}>"
stripped_programs
DESTDIR=$tree PREFIX=/usr sh "$source_dir/init/install.sh" --from "$work/programs" >/dev/null
leave_out
debian_forms
links_of_etc >"$work/links"
{
	foreign cluster-glue /usr/sbin/meatclient /usr/share/man/man8/meatclient.8.gz /usr/lib/heartbeat/lrmd
	foreign resource-agents /usr/libexec/heartbeat/send_arp
	foreign drbd-utils /usr/share/man/man8/drbddisk.8.gz
} >"$work/foreign"
control
package=$to/heartbeat_$(echo "$version" | sed 's/:/%3a/')_$arch.deb
dpkg-deb --root-owner-group -Zxz -z2 --build "$tree" "$package" >/dev/null
echo "$package"
