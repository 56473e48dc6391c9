package checks

import (
	"errors"
	"net/netip"
	"testing"
	"testing/fstest"
)

func addr(text string) LinkAddr { return LinkAddr{Addr: netip.MustParseAddr(text)} }

func TestOnlyUsableAddressesCount(t *testing.T) {
	tests := []struct {
		name  string
		addrs []LinkAddr
		want  string
	}{
		{"private ones, as LXD gives", []LinkAddr{addr("10.77.0.5"), addr("fd42:77::5")}, "ipv4 pass\nipv6 pass\n"},
		{"public ones", []LinkAddr{addr("192.0.2.5"), addr("2001:db8::5")}, "ipv4 pass\nipv6 pass\n"},
		{"none", nil, "ipv4 fail: has no ipv4 address\nipv6 fail: has no ipv6 address\n"},
		{"link-local", []LinkAddr{addr("169.254.3.4"), addr("fe80::1")},
			"ipv4 fail: has no usable ipv4 address: 169.254.3.4 (link-local)\n" +
				"ipv6 fail: has no usable ipv6 address: fe80::1 (link-local)\n"},
		{"loopback", []LinkAddr{addr("127.0.0.1"), addr("::1")},
			"ipv4 fail: has no usable ipv4 address: 127.0.0.1 (not global)\n" +
				"ipv6 fail: has no usable ipv6 address: ::1 (not global)\n"},
		{"tentative", []LinkAddr{addr("10.77.0.5"), {Addr: netip.MustParseAddr("fd42:77::5"), Tentative: true}},
			"ipv4 pass\nipv6 fail: has no usable ipv6 address: fd42:77::5 (tentative)\n"},
		{"duplicate", []LinkAddr{addr("10.77.0.5"), {Addr: netip.MustParseAddr("fd42:77::5"), Tentative: true, Duplicate: true}},
			"ipv4 pass\nipv6 fail: has no usable ipv6 address: fd42:77::5 (duplicate)\n"},
		{"deprecated, and one that is not", []LinkAddr{addr("10.77.0.5"), {Addr: netip.MustParseAddr("fd42:77::5"), Deprecated: true}, addr("fd42:77::6")},
			"ipv4 pass\nipv6 pass\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, nil, nil)
			sys.Links = func() ([]Link, error) { return []Link{{Name: "eth0", Addrs: tt.addrs}}, nil }
			n := &Network{Common: Common{Key: "eth0"}, IPv4: expects(t, Bool, true), IPv6: expects(t, Bool, true)}
			checkTold(t, n.Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestAddressOfALinkThatIsDownDoesNotCount(t *testing.T) {
	sys := fakeGuest(t, nil, nil)
	sys.Links = func() ([]Link, error) {
		return []Link{{Name: "eth0", Down: true, Addrs: []LinkAddr{addr("10.77.0.5")}}}, nil
	}
	n := &Network{Common: Common{Key: "eth0"}, IPv4: expects(t, Bool, true)}
	checkTold(t, n.Evaluate(t.Context(), sys), "ipv4 fail: the link is down\n")
}

func TestGatewaysAreOfTheInterface(t *testing.T) {
	sys := fakeGuest(t, nil, nil)
	sys.Links = func() ([]Link, error) {
		return []Link{{Name: "eth0", Gateway4: true}, {Name: "eth1", Gateway6: true}}, nil
	}
	n := &Network{Common: Common{Key: "eth0"}, Gateway4: expects(t, Bool, true), Gateway6: expects(t, Bool, true)}
	checkTold(t, n.Evaluate(t.Context(), sys), "gateway4 pass\ngateway6 fail: no default ipv6 route leads through it\n")
}

func TestAGlobIsTheFirstInterfaceThatIsNotTheLoopback(t *testing.T) {
	has := []LinkAddr{addr("10.77.0.5")}
	for _, tt := range []struct {
		name, glob, want string
		links            []Link
	}{
		{"of a container", "e*", "ipv4 pass\n", []Link{{Name: "lo", Loopback: true}, {Name: "eth0", Addrs: has}}},
		{"of a virtual machine", "e*", "ipv4 pass\n", []Link{{Name: "lo", Loopback: true}, {Name: "enp5s0", Addrs: has}, {Name: "eth1"}}},
		{"the first, although the second has an address", "e*", "ipv4 fail: has no ipv4 address\n", []Link{{Name: "eth0"}, {Name: "eth1", Addrs: has}}},
		{"any", "*", "ipv4 fail: has no ipv4 address\n", []Link{{Name: "lo", Loopback: true, Addrs: has}, {Name: "eth0"}}},
		{"none", "w*", "ipv4 fail: no such interface; there are lo, eth0\n", []Link{{Name: "lo", Loopback: true}, {Name: "eth0", Addrs: has}}},
		{"a name with a bracket", "a[0", "ipv4 pass\n", []Link{{Name: "a[0", Addrs: has}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, nil, nil)
			sys.Links = func() ([]Link, error) { return tt.links, nil }
			n := &Network{Common: Common{Key: tt.glob}, IPv4: expects(t, Bool, true)}
			checkTold(t, n.Evaluate(t.Context(), sys), tt.want)
		})
	}
}

func TestEveryPropertyOfAMissingInterfaceFails(t *testing.T) {
	sys := fakeGuest(t, nil, nil)
	sys.Links = func() ([]Link, error) { return []Link{{Name: "lo"}, {Name: "eth0"}}, nil }
	n := &Network{
		Common:      Common{Key: "net"},
		Name:        "eth1",
		IPv4:        expects(t, Bool, false),
		Gateway6:    expects(t, Bool, false),
		Nameservers: expects(t, List, map[string]any{"have-len": int64(0)}),
	}
	const why = " fail: no such interface; there are lo, eth0\n"
	checkTold(t, n.Evaluate(t.Context(), sys), "ipv4"+why+"gateway6"+why+"nameservers"+why)
}

func TestUnreadableLinksAreInconclusive(t *testing.T) {
	sys := fakeGuest(t, nil, nil)
	sys.Links = func() ([]Link, error) { return nil, errors.New("no sockets left") }
	n := &Network{Common: Common{Key: "eth0"}, IPv4: expects(t, Bool, true)}
	checkTold(t, n.Evaluate(t.Context(), sys), "ipv4 error: no sockets left\n")
}

func TestNameserversAreTheRealOnes(t *testing.T) {
	const stub = "nameserver 127.0.0.53\noptions edns0 trust-ad\nsearch lxd\n"
	tests := []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"of resolv.conf", map[string]string{"etc/resolv.conf": "# nameserver 192.0.2.9\nsearch lxd\nnameserver 10.77.0.1\nnameserver\tfe80::1%eth0\n"},
			"nameservers fail: extra: \"fe80::1%eth0\"\n"},
		{"of systemd-resolved", map[string]string{"etc/resolv.conf": stub, "run/systemd/resolve/resolv.conf": "nameserver 10.77.0.1\n"},
			"nameservers pass\n"},
		{"of systemd-resolved, which has none", map[string]string{"etc/resolv.conf": stub, "run/systemd/resolve/resolv.conf": "# none\n"},
			"nameservers fail: missing: \"10.77.0.1\"\n"},
		{"none", map[string]string{"etc/resolv.conf": ""}, "nameservers fail: missing: \"10.77.0.1\"\n"},
		{"no resolv.conf", nil, "nameservers fail: open etc/resolv.conf: file does not exist\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sys := fakeGuest(t, nil, nil)
			root := fstest.MapFS{}
			for name, text := range tt.files {
				root[name] = &fstest.MapFile{Data: []byte(text)}
			}
			sys.FS = root
			sys.Links = func() ([]Link, error) { return []Link{{Name: "eth0"}}, nil }
			n := &Network{
				Common:      Common{Key: "eth0"},
				Nameservers: expects(t, List, map[string]any{"consist-of": []any{"10.77.0.1"}}),
			}
			checkTold(t, n.Evaluate(t.Context(), sys), tt.want)
		})
	}
}
