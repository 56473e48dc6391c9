package trace

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// An exporter hands spans to an OTLP collector, as JSON over HTTP. OpenTelemetry's own
// exporters come with protobuf and gRPC, which would make icepak 4 MB larger.
type exporter struct {
	config config
	agent  string // User-Agent
	client *http.Client
	ended  context.Context // no request outlives it
	end    context.CancelFunc

	mu   sync.Mutex
	sent int   // spans that the collector has taken
	err  error // why it has not taken others
}

var _ sdk.SpanExporter = (*exporter)(nil)

func newExporter(c config, agent string) *exporter {
	x := &exporter{config: c, agent: agent, client: &http.Client{
		// The headers, which hold secrets, are for nobody else.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	x.ended, x.end = context.WithCancel(context.Background())
	return x
}

// ExportSpans never fails: what was not taken is told of once, when all is over.
func (x *exporter) ExportSpans(ctx context.Context, spans []sdk.ReadOnlySpan) error {
	if len(spans) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, x.config.timeout)
	defer cancel()
	defer context.AfterFunc(x.ended, cancel)()
	body, err := encode(spans)
	rejected := 0
	if err == nil {
		rejected, err = x.send(ctx, body)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		x.err = err
	}
	if err == nil || rejected > 0 {
		x.sent += max(0, len(spans)-rejected)
	}
	return nil
}

// Shutdown is for the interface: the reporter ends the exporter.
func (x *exporter) Shutdown(context.Context) error { return nil }

// outcome returns how many spans were taken, and why others were not, if it is known.
func (x *exporter) outcome() (sent int, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.sent, x.err
}

// waits are before each further try of a request.
func waits() []time.Duration { return []time.Duration{250 * time.Millisecond, time.Second} }

// send posts the request, again where that may help. rejected spans have an error too.
func (x *exporter) send(ctx context.Context, body []byte) (rejected int, err error) {
	left := waits()
	for {
		var again bool
		rejected, again, err = x.post(ctx, body)
		if !again || len(left) == 0 {
			return rejected, err
		}
		select {
		case <-ctx.Done():
			return rejected, err
		case <-time.After(left[0]):
			left = left[1:]
		}
	}
}

// post posts the request once; again says that another try may help.
func (x *exporter) post(ctx context.Context, body []byte) (rejected int, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, x.config.endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, false, errors.New("the endpoint is no URL")
	}
	for name, values := range x.config.headers {
		req.Header[name] = values
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", x.agent)
	resp, err := x.client.Do(req)
	if err != nil {
		var inURL *url.Error
		if errors.As(err, &inURL) { // which shows the URL, and a secret in it
			err = inURL.Err
		}
		return 0, ctx.Err() == nil, err
	}
	defer resp.Body.Close()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return 0, true, fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return 0, false, fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	rejected, err = partialSuccess(answer)
	return rejected, false, err
}

// partialSuccess reads from a collector's answer how many spans it does not want.
func partialSuccess(answer []byte) (rejected int, err error) {
	var said struct {
		Partial struct {
			Rejected json.Number `json:"rejectedSpans"`
		} `json:"partialSuccess"`
	}
	if json.Unmarshal(answer, &said) != nil {
		return 0, nil // it may say anything in another form: it has taken them
	}
	if n, err := said.Partial.Rejected.Int64(); err == nil && n > 0 {
		return int(min(n, 1<<30)), errors.New("the collector rejects them")
	}
	return 0, nil
}
