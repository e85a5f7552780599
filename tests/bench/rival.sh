# Makes the root directory of another cluster program inside a node of the lab: this machine's, with the program's
# unpacked packages over it. Everything is gone when the node is switched off.
#   sh rival.sh NODE_DIRECTORY PACKAGES ADDRESS NODE PRIORITY
set -e
bed=$1/bed root=$1/bed/all
mkdir -p "$bed"
mount -t tmpfs none "$bed"
mkdir "$bed/upper" "$bed/work" "$root"
cp -a "$2/." "$bed/upper/"
# Packages of Debian have parts in directories that are links there.
for dir in bin sbin lib; do
	if [ -d "$bed/upper/$dir" ]; then
		mkdir -p "$bed/upper/usr/$dir"
		cp -a "$bed/upper/$dir/." "$bed/upper/usr/$dir/"
		rm -r "${bed:?}/upper/$dir"
	fi
done
mount -t overlay overlay -o "lowerdir=/,upperdir=$bed/upper,workdir=$bed/work" "$root"
for dir in proc sys dev run; do mount --rbind "/$dir" "$root/$dir"; done

grep -q ^hacluster: "$root/etc/passwd" || echo 'hacluster:x:990:990::/:/bin/false' >>"$root/etc/passwd"
grep -q ^haclient: "$root/etc/group" || echo 'haclient:x:990:' >>"$root/etc/group"
cat /etc/hosts >"$root/etc/hosts"

mkdir -p "$root/etc/ha.d/resource.d" "$root/run/heartbeat/rsctmp" "$root/run/resource-agents"
for dir in ccm crm dopd; do mkdir -p "$root/run/heartbeat/$dir"; done
cp "$1/ha.d/resource.d/hello" "$root/etc/ha.d/resource.d/hello"
cat >"$root/etc/ha.d/ha.cf" <<-END
	logfile /var/log/ha-log
	keepalive 100ms
	warntime 300ms
	deadtime 500ms
	initdead 1
	udpport 694
	bcast eth0
	auto_failback on
	node node1 node2
END
echo "node1 $3 hello" >"$root/etc/ha.d/haresources"
(umask 077 && printf 'auth 1\n1 sha1 a lab is no secret\n' >"$root/etc/ha.d/authkeys")

# Silent for three times 170 ms and up to 100 ms more: dead. The nearest to 500 ms.
cat >"$root/etc/keepalived.conf" <<-END
	global_defs {
	    vrrp_version 3
	}
	vrrp_instance bench {
	    state BACKUP
	    interface eth0
	    virtual_router_id 51
	    priority $5
	    advert_int 0.17
	    virtual_ipaddress {
	        $3/24
	    }
	}
END
