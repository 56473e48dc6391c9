package lxdtest

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/upmaru/icepak/cmd/internal/lxd"
)

// Behind returns a handler that passes requests on to the server of a remote that is on
// this machine, each on a connection of its own, as package lxd does there.
func Behind(r lxd.Remote) *httputil.ReverseProxy {
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "lxd"})
	proxy.Transport = &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(strings.TrimPrefix(r.Addr, "unix:"), "//"))
	}}
	return proxy
}
