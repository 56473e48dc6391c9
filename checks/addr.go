package checks

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Addr is an address that the guest must be able to reach, such as
// tcp://www.example.com:80. For udp that only means that there is a route:
// nothing is sent.
type Addr struct {
	Common
	Address      string   `json:"address,omitempty"`
	Reachable    Matcher  `json:"reachable,omitzero" kind:"bool"`
	LocalAddress string   `json:"local-address,omitempty"`
	Timeout      Duration `json:"timeout,omitempty"` // 500 ms where not set
}

// Evaluate connects once.
func (a *Addr) Evaluate(ctx context.Context, _ *System) []Result {
	var r results
	timeout := a.Timeout.Or(500 * time.Millisecond)
	var problem error
	r.find("reachable", a.Reachable, func() (any, error) {
		network, address := splitAddress(a.id(a.Address))
		dialer, err := newDialer(network, a.LocalAddress)
		if err != nil {
			return nil, err
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, inconclusivef("want an address such as tcp://www.example.com:80, got %q", a.id(a.Address))
		}
		dialing, cancel := context.WithTimeoutCause(ctx, timeout, &timeoutError{timeout})
		defer cancel()
		conn, err := dialer.DialContext(dialing, network, address)
		switch {
		case errors.Is(err, syscall.EADDRNOTAVAIL) && a.LocalAddress != "":
			return nil, fmt.Errorf("the guest has no address %s", a.LocalAddress)
		case err != nil:
			problem = netError(dialing, err)
			return false, nil
		}
		conn.Close()
		return true, nil
	})
	if problem != nil {
		r.explain(problem.Error())
	}
	return r.list
}

func splitAddress(s string) (network, address string) {
	if network, address, ok := strings.Cut(s, "://"); ok {
		return network, address
	}
	return "tcp", s
}

func newDialer(network, local string) (*net.Dialer, error) {
	if !slices.Contains([]string{"tcp", "tcp4", "tcp6", "udp", "udp4", "udp6"}, network) {
		return nil, inconclusivef("want tcp or udp, got %q", network)
	}
	d := new(net.Dialer)
	if local == "" {
		return d, nil
	}
	ip := net.ParseIP(local)
	if ip == nil {
		return nil, inconclusivef("local-address: want an IP address, got %q", local)
	}
	if strings.HasPrefix(network, "udp") {
		d.LocalAddr = &net.UDPAddr{IP: ip}
	} else {
		d.LocalAddr = &net.TCPAddr{IP: ip}
	}
	return d, nil
}

// netError says of an error that came of the context's end what ended it.
func netError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
