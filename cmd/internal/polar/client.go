// Package polar is the client of Polar's API: what an image server knows of
// products and versions, and what it is told of their tests.
//
// Requests that may be repeated are repeated where the network, a proxy or the
// server fails. Events are, too, where the server takes one that comes twice once
// (see extensions.go). Elsewhere an event is sent again only where it surely was
// not taken; Settle and Promote find out what became of the others.
package polar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Options of a client; the zero value is ready to use.
type Options struct {
	Transport *http.Transport // nil: as http.DefaultTransport; it is copied
	UserAgent string          // empty: icepak
	RetryMax  int             // how often a request is repeated; 0: 4, negative: never
	RetryWait time.Duration   // before the first repetition, doubling; 0: 0.5 s
	Timeout   time.Duration   // of one attempt; 0: 30 s
	Actor     string          // whose events these are, for servers that want to know

	// The URLs of the channels' feeds, which hold tokens. Promote reads them where
	// an answer is lost; see there what it does without.
	TestingFeed, ActiveFeed Secret
}

// A Client talks to one Polar server. It may be used by several goroutines.
type Client struct {
	endpoint string
	opts     Options

	repeat *retryablehttp.Client
	// once sends what must not be taken twice, each over a connection of its
	// own: Polar closes one after a 500 without saying so, and an event that
	// meets the end of a kept-alive connection may or may not have been taken.
	once *retryablehttp.Client

	renewing   chan struct{} // holds one element while a session is opened
	mu         sync.Mutex
	password   Secret
	token      Secret
	extensions []string // that the session's answer named
}

// New returns a client of the Polar server at the endpoint, an http or https
// URL such as https://polar.example.com. Authenticate comes next.
func New(endpoint string, opts Options) (*Client, error) {
	u, err := url.Parse(strings.TrimSpace(endpoint))
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("polar: the endpoint is not an http or https URL such as https://polar.example.com")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("polar: the endpoint %s://%s has more than a host and a path", u.Scheme, u.Host)
	}
	if opts.Transport == nil {
		opts.Transport = http.DefaultTransport.(*http.Transport)
	}
	if opts.UserAgent == "" {
		opts.UserAgent = "icepak"
	}
	if opts.RetryMax == 0 {
		opts.RetryMax = 4
	}
	if opts.RetryWait == 0 {
		opts.RetryWait = 500 * time.Millisecond
	}
	if opts.Timeout == 0 {
		opts.Timeout = 30 * time.Second
	}
	opts.Actor = cleanActor(opts.Actor)
	kept := opts.Transport.Clone()
	fresh := opts.Transport.Clone()
	fresh.DisableKeepAlives = true
	return &Client{
		endpoint: strings.TrimRight(u.String(), "/"),
		opts:     opts,
		repeat:   retrying(kept, opts, mayRepeat),
		once:     retrying(fresh, opts, notTaken),
		renewing: make(chan struct{}, 1),
	}, nil
}

// Close closes connections that are not in use.
func (c *Client) Close() { c.repeat.HTTPClient.CloseIdleConnections() }

// Format writes the endpoint and nothing else of the client.
func (c *Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.endpoint) }

// Endpoint returns the server's URL without a slash at its end.
func (c *Client) Endpoint() string { return c.endpoint }

// Authenticate opens a session. The password is kept to open another when that
// one has expired. The error is ErrWrongPassword where Polar does not know it.
func (c *Client) Authenticate(ctx context.Context, password string) error {
	c.mu.Lock()
	c.password = Secret(password)
	c.mu.Unlock()
	if err := c.openSession(ctx); err != nil {
		return fmt.Errorf("polar: authenticate: %w", err)
	}
	return nil
}

func (c *Client) openSession(ctx context.Context) error {
	type user struct {
		Password string `json:"password"`
	}
	password, _ := c.secrets()
	var session struct{ Token string }
	var header http.Header
	err := c.ask(ctx, request{
		method: http.MethodPost, path: "/publish/sessions",
		in:  map[string]user{"user": {string(password)}},
		out: &session, header: &header,
	}, "")
	if status, ok := errors.AsType[*StatusError](err); ok && status.Status == http.StatusUnauthorized {
		return ErrWrongPassword
	}
	if err != nil {
		return err
	}
	if session.Token == "" {
		return errMalformed
	}
	c.mu.Lock()
	c.token = Secret(session.Token)
	c.extensions = extensionsOf(header)
	c.mu.Unlock()
	return nil
}

// renew opens a new session, unless somebody has since the one that is stale.
func (c *Client) renew(ctx context.Context, stale Secret) error {
	select {
	case c.renewing <- struct{}{}:
		defer func() { <-c.renewing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, token := c.secrets(); token != stale {
		return nil
	}
	if err := c.openSession(ctx); err != nil {
		return fmt.Errorf("open a new session: %w", err)
	}
	return nil
}

func (c *Client) secrets() (password, token Secret) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.password, c.token
}

// scrub takes the client's secrets out of a text that comes from outside.
func (c *Client) scrub(text string) string {
	password, token := c.secrets()
	for _, s := range []string{string(password), string(token)} {
		if s != "" {
			text = strings.ReplaceAll(text, s, hidden)
		}
	}
	return text
}
