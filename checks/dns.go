package checks

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// DNS is a name that must resolve. Its id is a name, or TYPE:name for records
// of one type. A plain name without a server is resolved as programs do it,
// also from /etc/hosts; all else is asked of the server, which is the guest's
// first where none is given.
type DNS struct {
	Common
	Resolve    string   `json:"resolve,omitempty"`
	Resolvable Matcher  `json:"resolvable,omitzero" kind:"bool" was:"resolveable"`
	Addrs      Matcher  `json:"addrs,omitzero" kind:"list"` // what was found, sorted
	Server     string   `json:"server,omitempty"`           // host or host:port
	Timeout    Duration `json:"timeout,omitempty"`          // of each try; 500 ms where not set
}

// dnsTries is how often a server that does not answer is asked.
const dnsTries = 3

// Evaluate resolves the name.
func (d *DNS) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	addrs, err := d.lookUp(ctx, sys)
	switch {
	case err == nil:
		r.presence("resolvable", d.Resolvable, true, "")
	case isNotFound(err):
		r.presence("resolvable", d.Resolvable, false, err.Error())
	default: // a server that does not answer does not say that there is no such name
		r.noPresence("resolvable", d.Resolvable, err)
	}
	r.match("addrs", d.Addrs, addrs)
	return r.list
}

// lookUp asks until there is an answer, be it that there is no such name.
func (d *DNS) lookUp(ctx context.Context, sys *System) ([]string, error) {
	qtype, name, err := splitQuery(d.id(d.Resolve))
	if err != nil {
		return nil, err
	}
	server := d.Server
	if server == "" && qtype != "" {
		if server, err = firstNameserver(sys); err != nil {
			return nil, err
		}
	}
	timeout := d.Timeout.Or(500 * time.Millisecond)
	var addrs []string
	for range dnsTries {
		addrs, err = func() ([]string, error) {
			try, cancel := context.WithTimeoutCause(ctx, timeout, &timeoutError{timeout})
			defer cancel()
			addrs, err := resolve(try, server, qtype, name)
			if err != nil {
				return nil, netError(try, err)
			}
			return addrs, nil
		}()
		if err == nil || isNotFound(err) || ctx.Err() != nil {
			break
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs), err
}

func isNotFound(err error) bool {
	e, ok := errors.AsType[*net.DNSError](err)
	return ok && e.IsNotFound
}

func resolve(ctx context.Context, server, qtype, name string) ([]string, error) {
	switch {
	case server == "":
		return net.DefaultResolver.LookupHost(ctx, name)
	case qtype != "":
		return query(ctx, serverAddress(server), name, recordTypes()[qtype])
	}
	// As programs do, both kinds of address; one of them is enough.
	v4, err4 := query(ctx, serverAddress(server), name, typeA)
	v6, err6 := query(ctx, serverAddress(server), name, typeAAAA)
	if len(v4)+len(v6) > 0 {
		return append(v4, v6...), nil
	}
	if isNotFound(err4) { // that there is none of one kind says nothing of the other
		return nil, cmp.Or(err6, err4)
	}
	return nil, err4
}

// splitQuery reads TYPE:name. A PTR's name may be an address.
func splitQuery(id string) (qtype, name string, err error) {
	qtype, name, ok := strings.Cut(id, ":")
	if !ok || qtype == "" || strings.ToUpper(qtype) != qtype || strings.Trim(qtype, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", id, nil
	}
	if _, known := recordTypes()[qtype]; !known {
		return "", "", inconclusivef("cannot look up records of the type %s", qtype)
	}
	if qtype == "PTR" {
		name = reverseName(name)
	}
	return qtype, name, nil
}

// reverseName is the name under which an address's names are found.
func reverseName(s string) string {
	addr, err := netip.ParseAddr(s)
	if err != nil {
		return s
	}
	const digits = "0123456789abcdef"
	var labels []string
	raw := addr.Unmap().AsSlice()
	slices.Reverse(raw)
	for _, b := range raw {
		if len(raw) == 4 {
			labels = append(labels, decimal(int(b)))
		} else {
			labels = append(labels, string(digits[b&15]), string(digits[b>>4]))
		}
	}
	if len(raw) == 4 {
		return strings.Join(labels, ".") + ".in-addr.arpa"
	}
	return strings.Join(labels, ".") + ".ip6.arpa"
}

func serverAddress(server string) string {
	if _, _, err := net.SplitHostPort(server); err == nil {
		return server
	}
	return net.JoinHostPort(strings.Trim(server, "[]"), "53")
}

// firstNameserver is the one that the guest's /etc/resolv.conf names first.
func firstNameserver(sys *System) (string, error) {
	servers, err := readLines(sys.FS, "etc/resolv.conf", func(line string) (string, bool) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] != "nameserver" {
			return "", false
		}
		return f[1], true
	})
	if len(servers) == 0 {
		return "", cmp.Or(err, errors.New("/etc/resolv.conf names no server"))
	}
	return servers[0], nil
}
