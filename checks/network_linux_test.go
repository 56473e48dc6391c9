package checks

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestKernelKnowsTheLoopback(t *testing.T) {
	links, err := readLinks()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(links, func(l Link) bool { return l.Name == "lo" })
	if i < 0 {
		t.Fatalf("no lo among %v", links)
	}
	lo := links[i]
	if !lo.Loopback || lo.Gateway4 || lo.Gateway6 || lo.has("ipv4") || lo.has("ipv6") {
		t.Errorf("lo: %+v", lo)
	}
	if !slices.ContainsFunc(lo.Addrs, func(a LinkAddr) bool { return a.Addr == netip.MustParseAddr("127.0.0.1") }) {
		t.Errorf("lo has no 127.0.0.1 but %v", lo.Addrs)
	}
}

// attribute is a route attribute as the kernel sends it.
func attribute(kind uint16, value []byte) []byte {
	b := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func word(v uint32) []byte { return binary.NativeEndian.AppendUint32(nil, v) }

func message(kind uint16, parts ...[]byte) syscall.NetlinkMessage {
	m := syscall.NetlinkMessage{Data: slices.Concat(parts...)}
	m.Header.Type = kind
	m.Header.Len = uint32(unix.SizeofNlMsghdr + len(m.Data))
	return m
}

func TestAddressFlagsAreTakenFromWhereThereIsRoomForAll(t *testing.T) {
	ip := netip.MustParseAddr("fd42:77::5")
	tests := []struct {
		name  string
		short byte
		attrs []byte
		want  LinkAddr
	}{
		{"none", 0, nil, LinkAddr{Addr: ip}},
		{"old kernel, tentative", unix.IFA_F_TENTATIVE, nil, LinkAddr{Addr: ip, Tentative: true}},
		{"tentative", 0, attribute(unix.IFA_FLAGS, word(unix.IFA_F_TENTATIVE|unix.IFA_F_MANAGETEMPADDR)), LinkAddr{Addr: ip, Tentative: true}},
		{"optimistic", 0, attribute(unix.IFA_FLAGS, word(unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC)), LinkAddr{Addr: ip}},
		{"duplicate", 0, attribute(unix.IFA_FLAGS, word(unix.IFA_F_DADFAILED|unix.IFA_F_TENTATIVE)), LinkAddr{Addr: ip, Tentative: true, Duplicate: true}},
		{"deprecated", 0, attribute(unix.IFA_FLAGS, word(unix.IFA_F_DEPRECATED)), LinkAddr{Addr: ip, Deprecated: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			header := append([]byte{unix.AF_INET6, 64, tt.short, 0}, word(7)...)
			index, got, ok := parseAddr(message(unix.RTM_NEWADDR, header, attribute(unix.IFA_ADDRESS, ip.AsSlice()), tt.attrs))
			if !ok || index != 7 || got != tt.want {
				t.Errorf("got %v, %+v, %v, want %+v of 7", index, got, ok, tt.want)
			}
		})
	}
}

func TestAddressOfAPointToPointLinkIsItsOwn(t *testing.T) {
	own, peer := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	header := append([]byte{unix.AF_INET, 32, 0, 0}, word(7)...)
	_, got, ok := parseAddr(message(unix.RTM_NEWADDR, header,
		attribute(unix.IFA_ADDRESS, peer.AsSlice()), attribute(unix.IFA_LOCAL, own.AsSlice())))
	if !ok || got.Addr != own {
		t.Errorf("got %v, %v", got, ok)
	}
}

func TestLinkIsUpWhenItCanCarrySomething(t *testing.T) {
	for _, tt := range []struct {
		flags uint32
		down  bool
	}{
		{unix.IFF_UP | unix.IFF_RUNNING, false},
		{unix.IFF_UP, true}, // no carrier
		{0, true},
	} {
		header := slices.Concat(make([]byte, 4), word(7), word(tt.flags), word(0))
		_, got, ok := parseLink(message(unix.RTM_NEWLINK, header, attribute(unix.IFLA_IFNAME, []byte("eth0\x00"))))
		if !ok || got.Down != tt.down {
			t.Errorf("flags %#x: got %+v, %v", tt.flags, got, ok)
		}
	}
}

func TestDefaultRoutes(t *testing.T) {
	header := func(bits, table, kind byte) []byte {
		return []byte{unix.AF_INET6, bits, 0, 0, table, 0, 0, kind, 0, 0, 0, 0}
	}
	flagged := func(flags uint32) []byte {
		return append(header(0, unix.RT_TABLE_MAIN, unix.RTN_UNICAST)[:8], word(flags)...)
	}
	nexthop := func(index uint32, flags byte) []byte {
		via := attribute(unix.RTA_GATEWAY, netip.MustParseAddr("fe80::1").AsSlice())
		b := binary.NativeEndian.AppendUint16(nil, uint16(unix.SizeofRtNexthop+len(via)))
		return slices.Concat(b, []byte{flags, 0}, word(index), via)
	}
	over := attribute(unix.RTA_OIF, word(7))
	tests := []struct {
		name  string
		parts [][]byte
		want  []int32
	}{
		{"one", [][]byte{header(0, unix.RT_TABLE_MAIN, unix.RTN_UNICAST), over}, []int32{7}},
		{"over several interfaces", [][]byte{header(0, unix.RT_TABLE_MAIN, unix.RTN_UNICAST),
			attribute(unix.RTA_MULTIPATH, append(nexthop(7, 0), nexthop(8, 0)...))}, []int32{7, 8}},
		{"over several, one of them down", [][]byte{header(0, unix.RT_TABLE_MAIN, unix.RTN_UNICAST),
			attribute(unix.RTA_MULTIPATH, append(nexthop(7, unix.RTNH_F_LINKDOWN), nexthop(8, 0)...))}, []int32{8}},
		{"over a link that is down", [][]byte{flagged(unix.RTNH_F_LINKDOWN), over}, nil},
		{"dead", [][]byte{flagged(unix.RTNH_F_DEAD), over}, nil},
		{"to a network only", [][]byte{header(64, unix.RT_TABLE_MAIN, unix.RTN_UNICAST), over}, nil},
		{"unreachable", [][]byte{header(0, unix.RT_TABLE_MAIN, unix.RTN_UNREACHABLE), over}, nil},
		{"of another table", [][]byte{header(0, unix.RT_TABLE_COMPAT, unix.RTN_UNICAST), attribute(unix.RTA_TABLE, word(1000)), over}, nil},
		{"cut off", [][]byte{header(0, unix.RT_TABLE_MAIN, unix.RTN_UNICAST), attribute(unix.RTA_MULTIPATH, []byte{200, 0, 0, 0})}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			family, got := parseDefaultRoute(message(unix.RTM_NEWROUTE, tt.parts...))
			if family != unix.AF_INET6 || !slices.Equal(got, tt.want) {
				t.Errorf("got family %d over %v, want %v", family, got, tt.want)
			}
		})
	}
}
