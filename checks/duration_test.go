package checks

import (
	"encoding/json"
	"testing"
	"time"
)

func TestDurationIsTextOrMilliseconds(t *testing.T) {
	for text, want := range map[string]time.Duration{
		`"5s"`: 5 * time.Second, `"1m30s"`: 90 * time.Second, `500`: 500 * time.Millisecond,
		`"500"`: 500 * time.Millisecond, `0`: 0, `"0s"`: 0,
	} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s gives %v, %v", text, d, err)
		}
		data, err := json.Marshal(d)
		var back Duration
		if err != nil || json.Unmarshal(data, &back) != nil || back != d {
			t.Errorf("%v is written as %s", d, data)
		}
	}
	for _, text := range []string{`"-5s"`, `-1`, `"soon"`, `""`, `1.5`, `9223372036854775807`, `true`, `{}`} {
		var d Duration
		if err := json.Unmarshal([]byte(text), &d); err == nil {
			t.Errorf("%s gives %v", text, d)
		}
	}
}
