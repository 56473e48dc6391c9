package imagetest

const loopbackOnly = "auto lo\niface lo inet loopback\n"

// brokenNetworks are images without an address, a route, or one of the two families.
func brokenNetworks() []breakage {
	return []breakage{
		{"eth0 is not configured", "bookworm", []edit{file("/etc/network/interfaces", loopbackOnly)},
			"ipv4 dns", `eth0 .*/etc/network/interfaces`, ""},
		{"another interface is configured", "bookworm", []edit{replace("/etc/network/interfaces", "lo eth0", "lo ens3"), replace("/etc/network/interfaces", "iface eth0 inet dhcp\niface eth0 inet6 auto", "iface ens3 inet dhcp")},
			"boot ipv4 dns", `eth0 .*/etc/network/interfaces`, ""},
		{"no DHCP client", "bookworm", []edit{remove("/usr/sbin/dhclient")},
			"boot ipv4 dns", `dhclient`, ""},
		{"a DHCP client that may not be executed", "bookworm", []edit{mode("/usr/sbin/dhclient", 0o644)},
			"boot ipv4 dns", `dhclient`, ""},
		{"a DHCP client without its script", "bookworm", []edit{remove("/usr/sbin/dhclient-script")},
			"ipv4 dns", `dhclient-script`, ""},
		{"networking is masked", "bookworm", []edit{link("/etc/systemd/system/networking.service", "/dev/null")},
			"ipv4 dns", `networking\.service.*masked`, ""},
		{"a fixed address without a gateway", "bookworm", []edit{replace("/etc/network/interfaces", "iface eth0 inet dhcp", "iface eth0 inet static\n  address 10.77.0.222/24")},
			"ipv4 dns", `no default .*route`, ""},
		{"IPv6 is switched off", "bookworm", []edit{file("/etc/sysctl.d/10-no-ipv6.conf", "net.ipv6.conf.all.disable_ipv6 = 1\nnet.ipv6.conf.default.disable_ipv6 = 1\n"), replace("/etc/network/interfaces", "iface eth0 inet6 auto", "")},
			"ipv6", `disable_ipv6`, ""},
		{"router advertisements are not taken", "bookworm", []edit{replace("/etc/network/interfaces", "iface eth0 inet6 auto", "iface eth0 inet6 manual"), script("/etc/network/if-pre-up.d/no-ra", "#!/bin/sh\necho 0 >/proc/sys/net/ipv6/conf/$IFACE/accept_ra\nip -6 addr flush dev $IFACE\nip -6 route flush dev $IFACE proto ra\nexit 0\n")},
			"ipv6", `accept_ra`, ""},
		{"another interface is matched", "trixie", []edit{replace("/etc/systemd/network/eth0.network", "Name=eth0", "Name=ens3"), remove("/etc/systemd/system/network-online.target.wants/systemd-networkd-wait-online.service")},
			"ipv4 dns", `eth0`, ""},
		{"DHCP is not asked for", "trixie", []edit{replace("/etc/systemd/network/eth0.network", "DHCP=ipv4", "DHCP=no")},
			"ipv4", `DHCP`, ""},
		{"systemd-networkd is not enabled", "trixie", []edit{remove("/etc/systemd/system/multi-user.target.wants/systemd-networkd.service", "/etc/systemd/system/sockets.target.wants/systemd-networkd.socket", "/etc/systemd/system/network-online.target.wants/systemd-networkd-wait-online.service", "/etc/systemd/system/dbus-org.freedesktop.network1.service")},
			"ipv4 dns", `systemd-networkd`, ""},
		{"router advertisements are refused", "trixie", []edit{replace("/etc/systemd/network/eth0.network", "IPv6AcceptRA=yes", "IPv6AcceptRA=no")},
			"ipv6", `(?i)router advertisement|accept_ra|AcceptRA`, ""},
		{"networking is in no runlevel", "openrc", []edit{remove("/etc/runlevels/sysinit/networking")},
			"ipv4 dns", `networking`, ""},
		{"no DHCP client is started", "tiny", []edit{replace("/etc/rc", "udhcpc -b -S -i eth0 -s /etc/udhcpc.script\n", "")},
			"ipv4", `DHCP`, ""},
		{"the DHCP client's script is gone", "tiny", []edit{remove("/etc/udhcpc.script")},
			"ipv4", `udhcpc\.script|DHCP`, ""},
	}
}

// brokenNames are images that look no names up.
func brokenNames() []breakage {
	return []breakage{
		{"resolv.conf leads nowhere", "bookworm", []edit{link("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")},
			"ipv4 dns", `/etc/resolv\.conf`, ""},
		{"DHCP's name servers are not asked for", "bookworm", []edit{file("/etc/dhcp/dhclient.conf", "request subnet-mask, broadcast-address, routers;\n")},
			"ipv4 dns", `name ?server`, ""},
		{"names are looked up in files only", "bookworm", []edit{replace("/etc/nsswitch.conf", "files dns", "files")},
			"dns", `nsswitch\.conf`, ""},
		{"the resolver is not enabled", "trixie", []edit{remove("/etc/systemd/system/sysinit.target.wants/systemd-resolved.service"), link("/etc/systemd/system/systemd-resolved.service", "/dev/null")},
			"ipv4 dns", `resolv`, ""},
		{"a name server that does not answer", "bookworm", []edit{file("/etc/dhcp/dhclient.conf", "supersede domain-name-servers 10.77.0.251;\nrequest subnet-mask, broadcast-address, routers;\n")},
			"dns", `10\.77\.0\.251`, ""},
		{"localhost is not in hosts", "bookworm", []edit{file("/etc/hosts", "127.0.1.1 image\n")},
			"dns", `localhost`, ""},
	}
}
