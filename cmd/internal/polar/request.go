package polar

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	maxBody      = 1 << 20 // bytes of an answer
	maxErrorBody = 4 << 10 // bytes of an answer that is an error
	maxReason    = 300     // bytes of what a server says of an error
)

var (
	errMalformed = errors.New("the answer is not what Polar's API gives")
	errTooLarge  = fmt.Errorf("%w: it is too large", errMalformed)
)

// A request is one call of the API.
type request struct {
	verb       string // for errors, as are what and name: get product debian:…
	what, name string
	event      bool   // changes a state: not to be taken twice
	key        string // by which the server takes it once; may be empty
	method     string
	path       string
	in         any          // nil: no body
	out        any          // what the answer's data is decoded into; nil: there is none
	header     *http.Header // where the answer's header goes; may be nil
	limit      int          // bytes of the answer; 0: maxBody
}

// repeatable tells whether the request does no harm when it is taken twice.
func (r request) repeatable() bool { return !r.event || r.key != "" }

// call makes the request with the client's session, and opens a new one where
// that has expired. A request that is refused for its session has not been
// taken, so it may be repeated, whatever it is.
func (c *Client) call(ctx context.Context, r request) error {
	password, token := c.secrets()
	err := c.ask(ctx, r, token)
	if status, ok := errors.AsType[*StatusError](err); ok && status.Status == http.StatusUnauthorized && token != "" && password != "" {
		if err = c.renew(ctx, token); err == nil {
			_, token = c.secrets()
			err = c.ask(ctx, r, token)
		}
	}
	if err != nil {
		return fmt.Errorf("polar: %s %s %s: %w", r.verb, r.what, r.name, err)
	}
	return nil
}

// exchange sends the request and reads the answer.
func (c *Client) exchange(ctx context.Context, r request, token Secret) error {
	req, err := c.newRequest(ctx, r, token)
	if err != nil {
		return err
	}
	client := c.once
	if r.repeatable() {
		client = c.repeat
	}
	var body []byte
	var read *http.Response // whose body it is
	// Read where a body that breaks off is repeated like any broken connection.
	req.SetResponseHandler(func(resp *http.Response) (err error) {
		read = resp
		body, err = readBody(resp, r.limit)
		return err
	})
	resp, err := client.Do(req)
	if resp != nil {
		defer resp.Body.Close()
	}
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if read != resp { // it is the last of several attempts, and not a good one
		body, _ = readBody(resp, r.limit)
	}
	if !isOK(resp) {
		return c.refusal(r, resp.StatusCode, resp.Header, body)
	}
	if r.header != nil {
		*r.header = resp.Header
	}
	if r.out == nil && resp.StatusCode == http.StatusNoContent {
		return nil
	}
	return decode(body, r.out)
}

func isOK(resp *http.Response) bool { return resp.StatusCode >= 200 && resp.StatusCode <= 299 }

func (c *Client) newRequest(ctx context.Context, r request, token Secret) (*retryablehttp.Request, error) {
	var body any
	if r.in != nil {
		data, err := json.Marshal(r.in)
		if err != nil {
			return nil, err
		}
		body = data
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, r.method, c.endpoint+r.path, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", c.opts.UserAgent)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", string(token))
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	return req, nil
}

// readBody reads as much of the answer's body as is needed, of at most limit bytes.
func readBody(resp *http.Response, limit int) ([]byte, error) {
	if !isOK(resp) {
		// An error is one without its reason, too.
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
		return body, nil
	}
	limit = cmp.Or(limit, maxBody)
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	switch {
	case err != nil:
	case len(body) > limit:
		err = fmt.Errorf("%w, larger than %d KiB", errTooLarge, limit>>10)
	case breaksOff(body):
		err = io.ErrUnexpectedEOF
	}
	return body, err
}

// breaksOff tells whether the body is the beginning of JSON. A connection that is
// lost looks so where it is the connection's end that ends the answer.
func breaksOff(body []byte) bool {
	var v json.RawMessage
	return errors.Is(json.NewDecoder(bytes.NewReader(body)).Decode(&v), io.ErrUnexpectedEOF)
}

// decode reads an answer's data, which must be there. What is wrong with it is
// not told in full: it may hold secrets.
func decode(body []byte, out any) error {
	var answer struct{ Data json.RawMessage }
	if err := json.Unmarshal(body, &answer); err != nil {
		if bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
			return fmt.Errorf("%w but a web page", errMalformed)
		}
		return errMalformed
	}
	if len(answer.Data) == 0 || string(answer.Data) == "null" {
		return errMalformed
	}
	if err := json.Unmarshal(answer.Data, out); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("%w: %s has the wrong type", errMalformed, "data."+wrong.Field)
		}
		return errMalformed
	}
	return nil
}

// refusal returns the error that an answer stands for.
func (c *Client) refusal(r request, status int, header http.Header, body []byte) error {
	reason := c.scrub(reasonOf(body))
	switch {
	case status == http.StatusNotFound && r.what != "":
		return &NotFoundError{What: r.what, Name: r.name}
	case r.event && (status == http.StatusConflict || status == http.StatusInternalServerError && r.key == ""):
		return &RefusedError{What: r.what + " " + r.name, Event: r.verb, Status: status, State: c.scrub(stateOf(body)), Reason: reason}
	case status >= 300 && status <= 399:
		// The password goes nowhere but where it was meant to go.
		if u, err := url.Parse(header.Get("Location")); err == nil && u.Host != "" {
			reason = "the server sends on to " + c.scrub(u.Scheme+"://"+u.Host)
		}
	}
	if strings.EqualFold(reason, http.StatusText(status)) {
		reason = ""
	}
	return &StatusError{Status: status, Reason: reason}
}

// reasonOf returns what the server says of an error: {"errors":{"detail":"…"}}
// or, for fields, {"errors":{"serial":["…"]}}.
func reasonOf(body []byte) string {
	var answer struct{ Errors map[string]any }
	if json.Unmarshal(body, &answer) != nil {
		return ""
	}
	var reasons []string
	for field, v := range answer.Errors {
		switch v := v.(type) {
		case string:
			if field != "detail" {
				v = field + " " + v
			}
			reasons = append(reasons, v)
		case []any:
			for _, message := range v {
				if text, ok := message.(string); ok {
					reasons = append(reasons, field+" "+text)
				}
			}
		}
	}
	slices.Sort(reasons)
	reason := strings.Join(reasons, ", ")
	return strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
}

// stateOf returns the state that a server says has refused an event.
func stateOf(body []byte) string {
	var answer struct{ State string }
	_ = json.Unmarshal(body, &answer) // else it says none
	return answer.State
}

// unreachable returns the error for an exchange that broke.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errTooLarge) {
		return err
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // without the URL, which the endpoint says
	}
	// A broken answer is quoted in the error, and may hold what was sent.
	if text := c.scrub(err.Error()); text != err.Error() {
		err = errors.New(text)
	}
	return &UnreachableError{Endpoint: c.endpoint, Err: err}
}
