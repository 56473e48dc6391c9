package spec

import (
	"strings"
	"testing"

	"github.com/Masterminds/sprig/v3"
)

// rendered returns what a template's text prints, or its mistakes.
func rendered(text string, vars map[string]any) (string, error) {
	r := renderer{name: "x.yaml", vars: vars, env: map[string]string{"HOME": "/root"}, probs: newProblems()}
	r.read = func(string) ([]byte, error) { return []byte("  read\n"), nil }
	out, ok := r.render(text)
	if !ok {
		return "", r.probs.err()
	}
	return out, nil
}

func TestTemplatesHaveSprigsFunctionsAndGosss(t *testing.T) {
	tests := []struct{ text, want string }{
		{`{{ "hello!" | upper | repeat 3 }}`, "HELLO!HELLO!HELLO!"},
		{`{{ default "x" (index .Vars "y") }}`, "x"},
		{`{{ list 1 "a" | toJson }}`, `[1,"a"]`},
		{`{{ range until 3 }}{{.}}{{end}}`, "012"},
		{`{{ range untilStep 1 9 3 }}{{.}}{{end}}`, "147"},
		{`{{ seq 3 }}`, "1 2 3"},
		{`{{ seq 0 2 4 }}`, "0 2 4"},
		{`{{ join "," (list "a" "b") }}`, "a,b"},
		{`{{ "a b" | replace " " "-" }}`, "a-b"},
		{`{{ indent 2 "a\nb" }}`, "  a\n  b"},
		{`{{ regexReplaceAll "(a+)" "baab" "<$1>" }}`, "b<aa>b"},
		{`{{ regexMatch "^a" "abc" }}`, "true"},
		{`{{ (findStringSubmatch "(?P<n>[0-9]+)" "v12").n }}`, "12"},
		{`{{ get (findStringSubmatch "([0-9]+)" "v12") "1" }}`, "12"},
		{`{{ printf "%5.2f|%s" 3.14159 "x" }}`, " 3.14|x"},
		{`{{ env "HOME" }} {{ getEnv "NONE" "def" }} {{ expandenv "$HOME/x${NONE}" }}`, "/root def /root/x"},
		{`{{ readFile "x" }}`, "read"},
		{`{{ $d := dict "a" 1 }}{{ $_ := set $d "b" 2 }}{{ keys $d | sortAlpha | join " " }}`, "a b"},
		{`{{ $d := dict "a" (dict "b" 1) }}{{ $_ := set (get $d "a") "c" 2 }}{{ toJson $d }}`, `{"a":{"b":1,"c":2}}`},
		{`{{ toJson (merge (dict "a" 1) (dict "a" 2 "b" 3)) }}`, `{"a":1,"b":3}`},
		{`{{ $_ := set .Vars "list" "changed" }}{{ .Vars.list }}`, "changed"},
		{`{{ semverCompare ">=1.2" "1.10.0" }}`, "true"},
		{`{{ ternary "y" "n" (has "a" .Vars.list) }}`, "y"},
	}
	vars := map[string]any{"list": []any{"a", "b"}}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := rendered(tt.text, vars)
			if err != nil || got != tt.want {
				t.Errorf("want %q, got %q, %v", tt.want, got, err)
			}
		})
	}
	if _, isList := vars["list"].([]any); !isList {
		t.Error("a template has changed the variables of others")
	}
}

func TestEveryFunctionOfSprigIsThereOrNamedAsLeftOut(t *testing.T) {
	r := renderer{budget: newBudget()}
	has, out := r.functions(), leftOut()
	for name := range sprig.TxtFuncMap() {
		if _, left := out[name]; (has[name] == nil) != left {
			t.Errorf("%s: it is there: %v, it is left out: %v", name, has[name] != nil, left)
		}
	}
	for name, why := range out {
		if _, err := rendered("{{ "+name+` "x" }}`, nil); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: want %q, got %v", name, why, err)
		}
	}
}

func TestATemplateCannotUseUpTheHost(t *testing.T) {
	doubled := func(how string) string {
		return `{{ $x := "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" }}{{ range until 60 }}{{ $x = ` + how + ` }}{{ end }}`
	}
	nested := func(how string) string {
		return `{{ $x := list "a" }}{{ range until 60 }}{{ $x = ` + how + ` }}{{ end }}{{ $x }}`
	}
	tests := []struct{ name, text, want string }{
		{"repeat", `{{ repeat 1000000000 "x" }}`, "larger than 8 MiB"},
		{"until", `{{ range until 1000000000 }}{{ end }}`, "larger than 8 MiB"},
		{"until, downwards", `{{ until -1000000000 | len }}`, "larger than 8 MiB"},
		{"untilStep that runs over", `{{ untilStep 0 9223372036854775807 4611686018427387904 | len }}`, "larger than 8 MiB"},
		{"seq", `{{ seq 1 1000000000 }}`, "larger than 8 MiB"},
		{"seq with a step", `{{ seq 0 1 1000000000 }}`, "larger than 8 MiB"},
		{"indent", `{{ indent 1000000000 "x" }}`, "larger than 8 MiB"},
		{"replace", `{{ replace "" (repeat 100000 "x") (repeat 100000 "x") }}`, "larger than 8 MiB"},
		{"join", `{{ join (repeat 100000 "x") (until 10000) }}`, "larger than 8 MiB"},
		{"split", `{{ split "" (repeat 1000000 "x") | len }}`, "larger than 8 MiB"},
		{"wrapWith", `{{ wrapWith 1 (repeat 100000 "x") (repeat 10000 "x ") }}`, "larger than 8 MiB"},
		{"regexReplaceAll", `{{ regexReplaceAll "" (repeat 100000 "x") (repeat 100000 "$0") }}`, "larger than 8 MiB"},
		{"printf, width", `{{ printf "%900000d%900000d%900000d%900000d%900000d%900000d%900000d%900000d%900000d%900000d" 1 }}`, "larger than 8 MiB"},
		{"printf, width of each", `{{ printf "%100000v" (until 1000) }}`, "larger than 8 MiB"},
		{"printf, width given", `{{ printf "%*d%*d%*d%*d%*d" 999999 1 999999 1 999999 1 999999 1 999999 1 }}`, "larger than 8 MiB"},
		{"printf, again", `{{ printf (repeat 100000 "%[1]s") (repeat 100000 "x") }}`, "larger than 8 MiB"},
		{"random", `{{ randAlphaNum 1000000000 }}`, "larger than 8 MiB"},
		{"doubled by print", doubled(`print $x $x`), "larger than 8 MiB"},
		{"doubled by printf", doubled(`printf "%s%s" $x $x`), "larger than 8 MiB"},
		{"doubled by cat", doubled(`cat $x $x`), "larger than 8 MiB"},
		{"doubled by html", doubled(`html $x $x`), "larger than 8 MiB"},
		{"doubled by quotes", doubled(`quote $x`), "larger than 8 MiB"},
		{"a list of itself", nested(`list $x $x`), "larger than 8 MiB"},
		{"a slice of itself", nested(`mkSlice $x $x`), "larger than 8 MiB"},
		{"a list on itself", nested(`concat $x $x`), "larger than 8 MiB"},
		{"a map of itself", nested(`dict "a" $x "b" $x`), "larger than 8 MiB"},
		{"nested", `{{ $x := list }}{{ range until 200 }}{{ $x = list $x }}{{ end }}`, "nested more than 100 deep"},
		{"nested JSON", `{{ fromJson (print (repeat 5000 "[") (repeat 5000 "]")) }}`, "nested more than 100 deep"},
		{"a map in itself", `{{ $d := dict }}{{ range until 200 }}{{ $_ := set $d "d" $d }}{{ end }}`, "nested more than 100 deep"},
		{"work", `{{ $x := repeat 4000000 "x" }}{{ range until 90000 }}{{ $_ := sha512sum $x }}{{ end }}`, "more than 128 MiB in all"},
		{"work of patterns", `{{ $x := repeat 100000 "x" }}{{ range until 90000 }}{{ $_ := regexFind "(a?){900}b" $x }}{{ end }}`, "more than 128 MiB in all"},
		{"a pattern", `{{ regexMatch (repeat 2000 "a") "x" }}`, "longer than 1000 bytes"},
		{"steps", `{{ range until 60000 }}{{ if true }}{{ end }}{{ end }}`, "more than 100000 steps"},
		{"a number's rounds", `{{ range 1000000000 }}{{ end }}`, "more than 100000 steps"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out, err := rendered(tt.text, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("want an error with %q, got %v and %d bytes", tt.want, err, len(out))
			}
		})
	}
}

// A map that stands in a list is a copy, and does not grow there.
func TestAMapThatGrowsDoesSoInOnePlace(t *testing.T) {
	const text = `{{ $d := dict }}{{ $l := list $d $d $d }}{{ $_ := set $d "k" "v" }}{{ len $l }} {{ toJson $l }} {{ toJson $d }}`
	got, err := rendered(text, nil)
	if want := `3 [{},{},{}] {"k":"v"}`; err != nil || got != want {
		t.Errorf("want %q, got %q, %v", want, got, err)
	}
}

func TestVarsThatAliasesBlowUpAreRefused(t *testing.T) {
	text := "vars:\n  a: &a " + strings.Repeat("x", 200_000) + "\n  b: [" + strings.Repeat("*a, ", 100) + "]\n" +
		"checks: {a: {title: '{{.Vars.b}}', " + rootExists + "}}\n"
	_, err := Parse("x.yaml", []byte(text), Options{})
	if want := "x.yaml:1:1: vars: a value is larger than 8 MiB"; err == nil || err.Error() != want {
		t.Errorf("want %q, got %v", want, err)
	}
}
