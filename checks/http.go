package checks

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// HTTP is an answer to one request.
type HTTP struct {
	Common
	URL               string   `json:"url,omitempty"`
	Status            Matcher  `json:"status,omitzero" kind:"int"`
	Method            string   `json:"method,omitempty"` // GET where not set
	AllowInsecure     bool     `json:"allow-insecure,omitempty"`
	NoFollowRedirects bool     `json:"no-follow-redirects,omitempty"`
	Timeout           Duration `json:"timeout,omitempty"`         // 5 s where not set
	RequestHeaders    []string `json:"request-headers,omitempty"` // "Name: value"
	RequestBody       string   `json:"request-body,omitempty"`
	Headers           Matcher  `json:"headers,omitzero" kind:"text"` // sorted lines of "Name: value"
	Body              Matcher  `json:"body,omitzero" kind:"text"`
	Username          string   `json:"username,omitempty"`
	Password          string   `json:"password,omitempty"`
	CAFile            string   `json:"ca-file,omitempty"`
	CertFile          string   `json:"cert-file,omitempty"`
	KeyFile           string   `json:"key-file,omitempty"`
	Proxy             string   `json:"proxy,omitempty"`
}

// maxBody bounds the bodies that are looked at.
const maxBody = 10 << 20

// Evaluate sends the request once. Redirects are followed unless the spec says
// otherwise; the answer at their end is what counts.
func (h *HTTP) Evaluate(ctx context.Context, sys *System) []Result {
	var r results
	timeout := h.Timeout.Or(5 * time.Second)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, &timeoutError{timeout})
	defer cancel()
	resp, err := h.send(ctx, sys)
	if err != nil {
		r.noPresence("status", h.Status, netError(ctx, err))
		resp = new(http.Response)
	} else {
		defer resp.Body.Close()
		if !r.match("status", h.Status, resp.StatusCode) {
			if text := http.StatusText(resp.StatusCode); text != "" {
				r.explain(text)
			}
			r.skipRest("status did not pass")
		}
	}
	r.match("headers", h.Headers, headerLines(resp.Header))
	r.find("body", h.Body, func() (any, error) {
		data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
		switch {
		case err != nil:
			return nil, netError(ctx, err)
		case len(data) > maxBody:
			return nil, inconclusivef("its body is bigger than %d MiB", maxBody>>20)
		}
		return string(data), nil
	})
	return r.list
}

func (h *HTTP) send(ctx context.Context, sys *System) (*http.Response, error) {
	method, target := cmp.Or(h.Method, http.MethodGet), h.id(h.URL)
	req, err := http.NewRequestWithContext(ctx, method, target, strings.NewReader(h.RequestBody))
	if err != nil {
		return nil, inconclusive{withoutURL(err)}
	}
	if req.URL.Scheme != "http" && req.URL.Scheme != "https" {
		return nil, inconclusivef("want a URL such as http://www.example.com/")
	}
	if err := h.setHeaders(req); err != nil {
		return nil, err
	}
	transport, err := h.transport(sys)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: transport}
	if h.NoFollowRedirects {
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	}
	resp, err := client.Do(req)
	return resp, withoutURL(err)
}

func (h *HTTP) setHeaders(req *http.Request) error {
	req.Header.Set("User-Agent", "icepak")
	replaced := make(map[string]bool) // a header given twice is sent twice
	for _, line := range h.RequestHeaders {
		name, value, ok := strings.Cut(line, ":")
		name, value = http.CanonicalHeaderKey(strings.TrimSpace(name)), strings.TrimSpace(value)
		if !ok || name == "" {
			return inconclusivef("request-headers: want Name: value, got %q", line)
		}
		if !replaced[name] {
			req.Header.Del(name)
			replaced[name] = true
		}
		req.Header.Add(name, value)
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	if h.Username != "" || h.Password != "" {
		req.SetBasicAuth(h.Username, h.Password)
	}
	return nil
}

func (h *HTTP) transport(sys *System) (*http.Transport, error) {
	config, err := h.tlsConfig(sys)
	if err != nil {
		return nil, err
	}
	t := &http.Transport{
		TLSClientConfig:        config,
		DisableKeepAlives:      true,
		Proxy:                  http.ProxyFromEnvironment,
		MaxResponseHeaderBytes: 1 << 20,
	}
	if h.Proxy != "" {
		proxy, err := url.Parse(h.Proxy)
		if err != nil {
			return nil, inconclusivef("proxy: %w", withoutURL(err))
		}
		t.Proxy = http.ProxyURL(proxy)
	}
	return t, nil
}

// tlsConfig reads the certificates, which are files of the guest's.
func (h *HTTP) tlsConfig(sys *System) (*tls.Config, error) {
	config := &tls.Config{
		InsecureSkipVerify: h.AllowInsecure,
		RootCAs:            trusted(sys.FS),
		Renegotiation:      tls.RenegotiateFreelyAsClient, // older servers ask for a certificate only once they know the path
	}
	if h.CAFile != "" {
		pem, err := readBounded(sys.FS, sys.pathOf(h.CAFile), maxSystemFile)
		if err != nil {
			return nil, fmt.Errorf("ca-file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca-file: no certificate in %s", h.CAFile)
		}
	}
	if (h.CertFile == "") != (h.KeyFile == "") {
		return nil, inconclusivef("cert-file and key-file go together")
	}
	if h.CertFile != "" {
		cert, err := readBounded(sys.FS, sys.pathOf(h.CertFile), maxSystemFile)
		if err != nil {
			return nil, fmt.Errorf("cert-file: %w", err)
		}
		key, err := readBounded(sys.FS, sys.pathOf(h.KeyFile), maxSystemFile)
		if err != nil {
			return nil, fmt.Errorf("key-file: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("cert-file: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// trusted returns the certificates that the guest trusts now. The standard
// library reads them only once, but a package or a command may bring more.
func trusted(root fs.FS) *x509.CertPool {
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, bundle := range []string{
		"etc/ssl/certs/ca-certificates.crt", // Debian, Alpine, Arch
		"etc/pki/tls/certs/ca-bundle.crt",   // Fedora and its family
		"etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
		"etc/ssl/ca-bundle.pem", // openSUSE
	} {
		if pem, err := readBounded(root, bundle, maxSystemFile); err == nil {
			pool.AppendCertsFromPEM(pem)
		}
	}
	return pool
}

// withoutURL drops method and URL from an error: the result names them already,
// and a URL may hold a password.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

func headerLines(header http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range slices.Sorted(slices.Values(header[name])) {
			fmt.Fprintf(&b, "%s: %s\n", name, value)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func (*HTTP) undescribed() []string { return []string{"headers", "body"} }
