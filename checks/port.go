package checks

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Port is a port that something listens on. Its id is a number, or tcp:N,
// tcp6:N, udp:N or udp6:N; a number alone means tcp. Each looks at sockets of
// its own family only, as in goss: a server on the IPv6 wildcard address,
// which also answers IPv4, listens on tcp6.
type Port struct {
	Common
	Port      string  `json:"port,omitempty"`
	Listening Matcher `json:"listening,omitzero" kind:"bool"`
	IP        Matcher `json:"ip,omitzero" kind:"list"` // addresses listened on
}

// Evaluate reads the kernel's table of sockets.
func (p *Port) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	network, number, err := splitPort(p.id(p.Port))
	var ips []string
	if err == nil {
		ips, err = listening(ctx, sys, network, number)
	}
	if err != nil {
		r.noPresence("listening", p.Listening, err)
	} else {
		r.presence("listening", p.Listening, len(ips) > 0, "nothing listens on it")
	}
	if err == nil && len(ips) == 0 && strings.HasSuffix(network, "p") {
		// A common surprise is told.
		if other, err := listening(ctx, sys, network+"6", number); err == nil && len(other) > 0 {
			r.explain(fmt.Sprintf("nothing listens on it, but on %s6:%d", network, number))
		}
	}
	r.match("ip", p.IP, ips)
	return r.list
}

func splitPort(id string) (network string, port uint16, err error) {
	network, number, ok := strings.Cut(id, ":")
	if !ok {
		network, number = "tcp", id
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if err != nil || !slices.Contains([]string{"tcp", "tcp6", "udp", "udp6"}, network) {
		return "", 0, inconclusivef("want a port such as 22, tcp:22, tcp6:22, udp:53 or udp6:53, got %q", id)
	}
	return network, uint16(n), nil
}

// listening returns the addresses on which something listens on the port.
func listening(ctx context.Context, sys *System, network string, port uint16) ([]string, error) {
	sockets, err := fact(ctx, &sys.facts, "sockets "+network, func() ([]netip.AddrPort, error) {
		data, err := readBounded(sys.FS, "proc/net/"+network, maxSockets)
		switch {
		case errors.Is(err, fs.ErrNotExist) && sys.exists("/proc/net/"+strings.TrimSuffix(network, "6")):
			return nil, nil // a kernel without IPv6
		case err != nil:
			return nil, inconclusive{err}
		}
		return parseSockets(data, listenState(network)), nil
	})
	var ips []string
	for _, s := range sockets {
		if s.Port() == port {
			ips = append(ips, s.Addr().String())
		}
	}
	slices.Sort(ips)
	return slices.Compact(ips), err
}

const maxSockets = 64 << 20

// listenState is the state of a socket that takes what comes: TCP_LISTEN, or
// for UDP the state of one that is not connected.
func listenState(network string) string {
	if strings.HasPrefix(network, "udp") {
		return "07"
	}
	return "0A"
}

// parseSockets reads a table such as /proc/net/tcp6 and returns the local
// addresses of the sockets in the state. Other lines are left out.
func parseSockets(table []byte, state string) []netip.AddrPort {
	var list []netip.AddrPort
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 4 || f[3] != state {
			continue
		}
		if addr, ok := parseSocketAddr(f[1]); ok {
			list = append(list, addr)
		}
	}
	return list
}

// parseSocketAddr reads 0100007F:0016: words of four bytes in the machine's
// order, which is little-endian on what Linux images are built for here.
func parseSocketAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	raw, hexErr := hex.DecodeString(host)
	if !ok || err != nil || hexErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		binary.BigEndian.PutUint32(word, binary.NativeEndian.Uint32(word))
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(n)), ok
}
