package trace

import (
	"encoding/json"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// The structs below are OTLP's ExportTraceServiceRequest as JSON, as far as our spans
// need it: ids in hexadecimal, 64-bit numbers as text, enumerations as numbers.

type otlpRequest struct {
	Resources []otlpResourceSpans `json:"resourceSpans"`
}

type otlpResourceSpans struct {
	Resource otlpResource     `json:"resource"`
	Scopes   []otlpScopeSpans `json:"scopeSpans"`
}

type otlpResource struct {
	Attributes []otlpAttribute `json:"attributes"`
}

type otlpScopeSpans struct {
	Scope otlpScope  `json:"scope"`
	Spans []otlpSpan `json:"spans"`
}

type otlpScope struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

type otlpSpan struct {
	TraceID    string          `json:"traceId"`
	SpanID     string          `json:"spanId"`
	TraceState string          `json:"traceState,omitempty"`
	ParentID   string          `json:"parentSpanId,omitempty"`
	Flags      uint32          `json:"flags"`
	Name       string          `json:"name"`
	Kind       int             `json:"kind"`
	Start      string          `json:"startTimeUnixNano"`
	End        string          `json:"endTimeUnixNano"`
	Attributes []otlpAttribute `json:"attributes,omitempty"`
	Events     []otlpEvent     `json:"events,omitempty"`
	Dropped    int             `json:"droppedEventsCount,omitempty"`
	Status     otlpStatus      `json:"status"`
}

type otlpEvent struct {
	Time       string          `json:"timeUnixNano"`
	Name       string          `json:"name"`
	Attributes []otlpAttribute `json:"attributes,omitempty"`
}

type otlpStatus struct {
	Message string `json:"message,omitempty"`
	Code    int    `json:"code,omitempty"`
}

type otlpAttribute struct {
	Key   string    `json:"key"`
	Value otlpValue `json:"value"`
}

type otlpValue struct {
	String *string `json:"stringValue,omitempty"`
	Bool   *bool   `json:"boolValue,omitempty"`
	Int    *string `json:"intValue,omitempty"`
}

// encode returns the request that hands the spans over. They are all of one provider
// and one tracer.
func encode(spans []sdk.ReadOnlySpan) ([]byte, error) {
	first := spans[0]
	scope := otlpScopeSpans{Scope: otlpScope{first.InstrumentationScope().Name, first.InstrumentationScope().Version}}
	for _, s := range spans {
		scope.Spans = append(scope.Spans, newSpan(s))
	}
	return json.Marshal(otlpRequest{[]otlpResourceSpans{{
		Resource: otlpResource{newAttributes(first.Resource().Attributes())},
		Scopes:   []otlpScopeSpans{scope},
	}}})
}

func newSpan(s sdk.ReadOnlySpan) otlpSpan {
	self, parent := s.SpanContext(), s.Parent()
	span := otlpSpan{
		TraceID: self.TraceID().String(), SpanID: self.SpanID().String(), TraceState: self.TraceState().String(),
		Flags: uint32(self.TraceFlags()) | flags(parent), Name: s.Name(), Kind: int(s.SpanKind()),
		Start: nanoseconds(s.StartTime()), End: nanoseconds(s.EndTime()),
		Attributes: newAttributes(s.Attributes()), Dropped: s.DroppedEvents(),
		Status: otlpStatus{Message: s.Status().Description},
	}
	if parent.SpanID().IsValid() {
		span.ParentID = parent.SpanID().String()
	}
	for _, e := range s.Events() {
		span.Events = append(span.Events, otlpEvent{nanoseconds(e.Time), e.Name, newAttributes(e.Attributes)})
	}
	switch s.Status().Code { // whose numbers are not OTLP's
	case codes.Ok:
		span.Status.Code = 1
	case codes.Error:
		span.Status.Code = 2
	}
	return span
}

// flags says that it is known whether the parent is of another process, and whether it is.
func flags(parent trace.SpanContext) uint32 {
	if parent.IsRemote() {
		return 0x300
	}
	return 0x100
}

func nanoseconds(t time.Time) string { return strconv.FormatInt(t.UnixNano(), 10) }

func newAttributes(list []attribute.KeyValue) []otlpAttribute {
	attributes := make([]otlpAttribute, 0, len(list))
	for _, kv := range list {
		var v otlpValue
		switch kv.Value.Type() {
		case attribute.BOOL:
			b := kv.Value.AsBool()
			v.Bool = &b
		case attribute.INT64:
			n := strconv.FormatInt(kv.Value.AsInt64(), 10)
			v.Int = &n
		default: // there are no others but texts
			s := kv.Value.Emit()
			v.String = &s
		}
		attributes = append(attributes, otlpAttribute{string(kv.Key), v})
	}
	return attributes
}
