package trace

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestTheEnvironmentSaysWhereTracesGo(t *testing.T) {
	const base = "OTEL_EXPORTER_OTLP_"
	tests := []struct {
		name    string
		environ string // NAME=value, spaces between several
		want    string // endpoint, headers, timeout; empty: none are sent
		warning string
	}{
		{"nothing is set", "", "", ""},
		{"for all signals", base + "ENDPOINT=http://c:4318", "http://c:4318/v1/traces map[] 10s", ""},
		{"with a path", base + "ENDPOINT=https://c/otlp/", "https://c/otlp/v1/traces map[] 10s", ""},
		{"for traces alone, which is taken as it is", base + "ENDPOINT=http://c " + base + "TRACES_ENDPOINT=http://d/x", "http://d/x map[] 10s", ""},
		{"headers and a timeout", base + "ENDPOINT=http://c " + base + "HEADERS=a=b%20c,,x=y=z " + base + "TIMEOUT=250",
			"http://c/v1/traces map[A:[b c] X:[y=z]] 250ms", ""},
		{"those of traces come first", base + "ENDPOINT=http://c " + base + "HEADERS=a=b " + base + "TRACES_HEADERS=c=d " + base + "TRACES_TIMEOUT=1000",
			"http://c/v1/traces map[C:[d]] 1s", ""},
		{"a header that is none", base + "ENDPOINT=http://c " + base + "HEADERS=secret,a=b%0d%0asecret,=secret,c=d",
			"http://c/v1/traces map[C:[d]] 10s", "OTEL_EXPORTER_OTLP_HEADERS: want name=value"},
		{"a timeout that is none", base + "ENDPOINT=http://c " + base + "TIMEOUT=10s", "http://c/v1/traces map[] 10s", "OTEL_EXPORTER_OTLP_TIMEOUT: want a number"},
		{"http/json", base + "ENDPOINT=http://c " + base + "PROTOCOL=http/json", "http://c/v1/traces map[] 10s", ""},
		{"http/protobuf", base + "ENDPOINT=http://c " + base + "PROTOCOL=http/protobuf", "http://c/v1/traces map[] 10s", "sent as http/json"},
		{"gRPC", base + "ENDPOINT=http://c:4317 " + base + "TRACES_PROTOCOL=grpc", "", "no traces are sent: OTEL_EXPORTER_OTLP_PROTOCOL is grpc"},
		{"no URL", base + "ENDPOINT=secret:4318", "", "no traces are sent: OTEL_EXPORTER_OTLP_ENDPOINT is no URL"},
		{"switched off", base + "ENDPOINT=http://c OTEL_SDK_DISABLED=TRUE", "", ""},
		{"another exporter", base + "ENDPOINT=http://c OTEL_TRACES_EXPORTER=none", "", ""},
		{"ours among others", base + "ENDPOINT=http://c OTEL_TRACES_EXPORTER=console,otlp", "http://c/v1/traces map[] 10s", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env := make(map[string]string)
			for pair := range strings.FieldsSeq(tt.environ) {
				name, value, _ := strings.Cut(pair, "=")
				env[name] = value
			}
			var warnings []string
			got := ""
			if c := fromEnv(func(name string) string { return env[name] }, func(w string) { warnings = append(warnings, w) }); c != nil {
				got = fmt.Sprint(c.endpoint, " ", map[string][]string(c.headers), " ", c.timeout)
			}
			all := strings.Join(warnings, "\n")
			if got != tt.want || (all == "") != (tt.warning == "") || !strings.Contains(all, tt.warning) || strings.Contains(all, "secret") {
				t.Errorf("got %s, warnings %q", got, all)
			}
		})
	}
}

func TestWhatTheExportersLimitsAre(t *testing.T) {
	if flushTime > 5*time.Second {
		t.Errorf("a run may wait for %s", flushTime)
	}
	var all time.Duration
	for _, w := range waits() {
		all += w
	}
	if all >= flushTime {
		t.Errorf("a collector that is gone is tried for %s, longer than the end of a run lasts", all)
	}
}
