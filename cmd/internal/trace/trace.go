// Package trace tells an OpenTelemetry collector of a run's stages: a span for the run,
// and in it one for each image, each of its stages and each check.
package trace

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/upmaru/icepak/checks"
	"github.com/upmaru/icepak/cmd/internal/report"
)

// flushTime bounds what a collector that is slow or gone costs a run at its end.
const flushTime = 5 * time.Second

// A Reporter makes spans of events. It keeps nothing waiting: what the collector does
// not take in time is dropped, which is told of in one warning at the end.
type Reporter struct {
	provider *sdk.TracerProvider
	exporter *exporter
	tracer   trace.Tracer
	warn     func(string)
	flush    time.Duration

	root   context.Context // holds the span that the run is a part of, if any
	run    *span           // nil until the run begins
	images map[report.Image]*image
	ended  int // spans that the collector is to have
}

var _ report.Reporter = (*Reporter)(nil)

// New returns a Reporter as the environment wants it, or nil where it wants none. It
// tells warn of what is amiss.
func New(getenv func(string) string, version string, warn func(string)) *Reporter {
	c := fromEnv(getenv, warn)
	if c == nil {
		return nil
	}
	about, err := resource.New(context.Background(), resource.WithTelemetrySDK(),
		resource.WithAttributes(attribute.String("service.name", "icepak"), attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil {
		warn("OTEL_RESOURCE_ATTRIBUTES: want name=value, with commas between several; what is not is left out")
	}
	x := newExporter(*c, "icepak/"+version)
	p := sdk.NewTracerProvider(sdk.WithBatcher(x), sdk.WithResource(about))
	return &Reporter{
		provider: p, exporter: x, tracer: p.Tracer("icepak", trace.WithInstrumentationVersion(version)),
		warn: warn, flush: flushTime, images: make(map[report.Image]*image),
		root: propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{
			"traceparent": getenv("TRACEPARENT"), "tracestate": getenv("TRACESTATE"),
		}),
	}
}

// Event never fails.
func (r *Reporter) Event(e report.Event) error {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	if r.run == nil {
		r.run = r.start(r.root, "icepak test", e.Time)
	}
	switch {
	case e.Kind == report.RunStarted && e.Run != nil:
		r.run.SetAttributes(text("icepak.run", e.Run.ID))
	case e.Kind == report.Warning && e.Image == nil:
		r.run.tell(e.Time, "warning", text("icepak.detail", e.Detail))
	case e.Image != nil:
		key := *e.Image
		key.Fingerprint = "" // found out on the way
		if r.images[key] == nil {
			r.images[key] = newImage(r, *e.Image, e.Time)
		}
		if r.images[key].event(e) {
			delete(r.images, key)
		}
	}
	return nil
}

// Close ends the run's span and hands over what is left, for a bounded time.
func (r *Reporter) Close(s report.Summary) error {
	return r.close(s.Verdict, "", func(at time.Time) {
		for _, image := range s.Images {
			if image.Promotion != "" {
				r.run.tell(at, "promotion", append(names(image.Image), text("icepak.promotion", image.Promotion))...)
			}
		}
	})
}

// Abandon is Close for a run that ended before anything could be tested.
func (r *Reporter) Abandon(err error) {
	_ = r.close(checks.Error, err.Error(), func(time.Time) {})
}

func (r *Reporter) close(v checks.Verdict, reason string, last func(time.Time)) error {
	defer r.exporter.end()
	at := time.Now()
	if r.run != nil {
		for _, image := range r.images { // a run that was cut short
			image.finish(at, report.ImageResult{Verdict: checks.Error, Reason: "not finished"})
		}
		last(at)
		r.run.judge(v, reason)
		r.run.end(at)
	}
	ctx, cancel := context.WithTimeout(context.Background(), r.flush)
	defer cancel()
	err := r.provider.Shutdown(ctx)
	sent, why := r.exporter.outcome()
	if why != nil {
		err = why
	}
	if lost := r.ended - sent; lost > 0 {
		if err == nil {
			err = errors.New("there were too many at once")
		}
		r.warn(fmt.Sprintf("traces: %d of %d spans were not sent to %s: %s", lost, r.ended, r.host(), report.Line(err.Error())))
	}
	return nil
}

// host is the collector's: the rest of the URL may hold a secret.
func (r *Reporter) host() string {
	if u, err := url.Parse(r.exporter.config.endpoint); err == nil {
		return u.Host
	}
	return "the collector"
}

// A span is one with the context in which its parts are started.
type span struct {
	trace.Span
	reporter *Reporter
	within   context.Context
}

func (r *Reporter) start(parent context.Context, name string, at time.Time, attrs ...attribute.KeyValue) *span {
	within, s := r.tracer.Start(parent, report.Line(name), trace.WithTimestamp(at), trace.WithAttributes(attrs...))
	return &span{s, r, within}
}

// tell adds an event to the span.
func (s *span) tell(at time.Time, name string, attrs ...attribute.KeyValue) {
	s.AddEvent(name, trace.WithTimestamp(at), trace.WithAttributes(attrs...))
}

// judge notes a verdict. What could not be found out is an error of the span's too.
func (s *span) judge(v checks.Verdict, reason string) {
	s.SetAttributes(text("icepak.verdict", string(v)))
	if reason != "" {
		s.SetAttributes(text("icepak.reason", reason))
	}
	switch v {
	case checks.Pass:
		s.SetStatus(codes.Ok, "")
	case checks.Skip:
	default:
		s.SetStatus(codes.Error, report.Line(reason))
	}
}

func (s *span) end(at time.Time) {
	s.End(trace.WithTimestamp(at))
	if s.SpanContext().IsSampled() {
		s.reporter.ended++
	}
}

// text is an attribute, clean and bounded: guests are hostile.
func text(key, value string) attribute.KeyValue { return attribute.String(key, report.Line(value)) }

// names are an image's attributes.
func names(i report.Image) []attribute.KeyValue {
	list := []attribute.KeyValue{text("icepak.product", i.Product), text("icepak.type", i.Type)}
	if i.Serial != "" {
		list = append(list, text("icepak.serial", i.Serial))
	}
	if i.Remote != "" {
		list = append(list, text("icepak.remote", i.Remote))
	}
	return list
}
