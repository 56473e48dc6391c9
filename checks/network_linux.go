package checks

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// readLinks asks the kernel, so that it works in a guest without any tool.
func readLinks() ([]Link, error) {
	var links []Link
	index := map[int32]int{} // the kernel's index to that in links
	for _, ask := range []struct {
		what string
		kind int
		read func(syscall.NetlinkMessage)
	}{
		{"interfaces", unix.RTM_GETLINK, func(m syscall.NetlinkMessage) {
			if i, l, ok := parseLink(m); ok {
				index[i] = len(links)
				links = append(links, l)
			}
		}},
		{"addresses", unix.RTM_GETADDR, func(m syscall.NetlinkMessage) {
			i, a, ok := parseAddr(m)
			if n, known := index[i]; ok && known {
				links[n].Addrs = append(links[n].Addrs, a)
			}
		}},
		{"routes", unix.RTM_GETROUTE, func(m syscall.NetlinkMessage) {
			family, over := parseDefaultRoute(m)
			for _, i := range over {
				n, known := index[i]
				switch {
				case known && family == unix.AF_INET:
					links[n].Gateway4 = true
				case known && family == unix.AF_INET6:
					links[n].Gateway6 = true
				}
			}
		}},
	} {
		rib, err := syscall.NetlinkRIB(ask.kind, unix.AF_UNSPEC)
		if err != nil {
			return nil, fmt.Errorf("ask the kernel for its %s: %w", ask.what, err)
		}
		messages, err := syscall.ParseNetlinkMessage(rib)
		if err != nil {
			return nil, fmt.Errorf("read the kernel's %s: %w", ask.what, err)
		}
		for _, m := range messages {
			ask.read(m)
		}
	}
	return links, nil
}

func parseLink(m syscall.NetlinkMessage) (int32, Link, bool) {
	if m.Header.Type != unix.RTM_NEWLINK || len(m.Data) < unix.SizeofIfInfomsg {
		return 0, Link{}, false
	}
	attrs, err := syscall.ParseNetlinkRouteAttr(&m)
	if err != nil {
		return 0, Link{}, false
	}
	index := int32(binary.NativeEndian.Uint32(m.Data[4:]))
	flags := binary.NativeEndian.Uint32(m.Data[8:])
	l := Link{
		Loopback: flags&unix.IFF_LOOPBACK != 0,
		Down:     flags&unix.IFF_UP == 0 || flags&unix.IFF_RUNNING == 0,
	}
	for _, a := range attrs {
		if a.Attr.Type == unix.IFLA_IFNAME {
			l.Name = cString(a.Value)
		}
	}
	return index, l, l.Name != ""
}

func parseAddr(m syscall.NetlinkMessage) (int32, LinkAddr, bool) {
	if m.Header.Type != unix.RTM_NEWADDR || len(m.Data) < unix.SizeofIfAddrmsg {
		return 0, LinkAddr{}, false
	}
	attrs, err := syscall.ParseNetlinkRouteAttr(&m)
	if err != nil {
		return 0, LinkAddr{}, false
	}
	index := int32(binary.NativeEndian.Uint32(m.Data[4:]))
	flags := uint32(m.Data[2])
	var addr, local []byte
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.IFA_FLAGS: // the same flags, with room for more than eight
			if len(a.Value) >= 4 {
				flags = binary.NativeEndian.Uint32(a.Value)
			}
		case unix.IFA_ADDRESS:
			addr = a.Value
		case unix.IFA_LOCAL: // on a point-to-point link IFA_ADDRESS is the peer's
			local = a.Value
		}
	}
	if local != nil {
		addr = local
	}
	ip, ok := netip.AddrFromSlice(addr)
	if !ok {
		return 0, LinkAddr{}, false
	}
	return index, LinkAddr{
		Addr: ip,
		// An optimistic address may be used while its uniqueness is still tested.
		Tentative:  flags&unix.IFA_F_TENTATIVE != 0 && flags&unix.IFA_F_OPTIMISTIC == 0,
		Duplicate:  flags&unix.IFA_F_DADFAILED != 0,
		Deprecated: flags&unix.IFA_F_DEPRECATED != 0,
	}, true
}

// deadRoute are the flags of a route, or of one of its ways, that is not used.
const deadRoute = unix.RTNH_F_DEAD | unix.RTNH_F_LINKDOWN

// parseDefaultRoute returns the interfaces that a default route of the main
// table leads through, and its address family. One over a link that is down
// leads nowhere.
func parseDefaultRoute(m syscall.NetlinkMessage) (family uint8, over []int32) {
	if m.Header.Type != unix.RTM_NEWROUTE || len(m.Data) < unix.SizeofRtMsg {
		return 0, nil
	}
	family, bits, kind := m.Data[0], m.Data[1], m.Data[7]
	flags := binary.NativeEndian.Uint32(m.Data[8:])
	if bits != 0 || kind != unix.RTN_UNICAST || flags&deadRoute != 0 {
		return family, nil
	}
	attrs, err := syscall.ParseNetlinkRouteAttr(&m)
	if err != nil {
		return family, nil
	}
	table := uint32(m.Data[4])
	for _, a := range attrs {
		switch {
		case a.Attr.Type == unix.RTA_TABLE && len(a.Value) >= 4:
			table = binary.NativeEndian.Uint32(a.Value)
		case a.Attr.Type == unix.RTA_OIF && len(a.Value) >= 4:
			over = append(over, int32(binary.NativeEndian.Uint32(a.Value)))
		case a.Attr.Type == unix.RTA_MULTIPATH:
			over = append(over, parseNexthops(a.Value)...)
		}
	}
	if table != unix.RT_TABLE_MAIN {
		return family, nil
	}
	return family, over
}

// parseNexthops returns the interfaces of a multipath route.
func parseNexthops(b []byte) []int32 {
	var over []int32
	for len(b) >= unix.SizeofRtNexthop {
		size := int(binary.NativeEndian.Uint16(b))
		if size < unix.SizeofRtNexthop {
			break
		}
		if b[2]&deadRoute == 0 {
			over = append(over, int32(binary.NativeEndian.Uint32(b[4:])))
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	return over
}

// cString returns the bytes before the first zero.
func cString(b []byte) string {
	if i := slices.Index(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
