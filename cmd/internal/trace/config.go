package trace

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// config is what the environment says of where traces go. The variables are those of
// OpenTelemetry's specification of its OTLP exporters.
type config struct {
	endpoint string // the URL that is posted to
	headers  http.Header
	timeout  time.Duration // of one request
}

const (
	endpointVar = "OTEL_EXPORTER_OTLP_ENDPOINT"
	tracesVar   = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
)

// fromEnv returns nil where no traces are wanted, or where they cannot be sent as it is
// wanted, of which it tells warn. What it tells holds no value: any may be a secret.
func fromEnv(getenv func(string) string, warn func(string)) *config {
	endpoint, exact := strings.TrimSpace(getenv(tracesVar)), true
	if endpoint == "" {
		endpoint, exact = strings.TrimSpace(getenv(endpointVar)), false
	}
	if endpoint == "" || strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || !wanted(getenv("OTEL_TRACES_EXPORTER")) {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		warn("no traces are sent: OTEL_EXPORTER_OTLP_ENDPOINT is no URL such as http://localhost:4318")
		return nil
	}
	if !exact {
		u = u.JoinPath("v1/traces")
	}
	// The variables of traces alone outdo those of all signals.
	value := func(name string) string {
		if v := getenv("OTEL_EXPORTER_OTLP_TRACES_" + name); v != "" {
			return v
		}
		return getenv("OTEL_EXPORTER_OTLP_" + name)
	}
	switch strings.TrimSpace(value("PROTOCOL")) {
	case "", "http/json":
	case "grpc":
		warn("no traces are sent: OTEL_EXPORTER_OTLP_PROTOCOL is grpc, and only http/json is spoken")
		return nil
	default:
		warn("traces are sent as http/json: no other OTEL_EXPORTER_OTLP_PROTOCOL is spoken")
	}
	headers, ok := parseHeaders(value("HEADERS"))
	if !ok {
		warn("OTEL_EXPORTER_OTLP_HEADERS: want name=value, with commas between several; what is not is left out")
	}
	c := &config{endpoint: u.String(), headers: headers, timeout: 10 * time.Second}
	if text := value("TIMEOUT"); text != "" {
		if ms, err := strconv.ParseUint(strings.TrimSpace(text), 10, 31); err == nil && ms > 0 {
			c.timeout = time.Duration(ms) * time.Millisecond
		} else {
			warn("OTEL_EXPORTER_OTLP_TIMEOUT: want a number of milliseconds; 10000 are taken")
		}
	}
	return c
}

// wanted tells whether OTEL_TRACES_EXPORTER names ours, which is the default.
func wanted(exporters string) bool {
	for name := range strings.SplitSeq(exporters, ",") {
		if name = strings.TrimSpace(name); name == "otlp" || name == "" && exporters == "" {
			return true
		}
	}
	return false
}

// parseHeaders reads name=value,name=value, where values are escaped as in URLs.
func parseHeaders(text string) (http.Header, bool) {
	headers, ok := http.Header{}, true
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if name = strings.TrimSpace(name); !found || name == "" || err != nil || strings.ContainsAny(name+value, "\r\n\x00") {
			ok = false
			continue
		}
		headers.Set(name, value)
	}
	return headers, ok
}
