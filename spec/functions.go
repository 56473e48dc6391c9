package spec

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig/v3"
)

// leftOut are the functions of sprig that templates do not have, and why: a
// template is rendered on the host, where it may compute and nothing else.
func leftOut() map[string]string {
	const (
		network = "it would ask this machine's network"
		keys    = "it makes keys, which are of no use in a spec and cost much"
	)
	return map[string]string{
		"getHostByName":            network,
		"bcrypt":                   keys,
		"buildCustomCert":          keys,
		"derivePassword":           keys,
		"genCA":                    keys,
		"genCAWithKey":             keys,
		"genPrivateKey":            keys,
		"genSelfSignedCert":        keys,
		"genSelfSignedCertWithKey": keys,
		"genSignedCert":            keys,
		"genSignedCertWithKey":     keys,
		"htpasswd":                 keys,
	}
}

// functions returns sprig's functions under goss's, which have the last word as
// they have in goss. Each keeps to the bounds of a budget.
func (r *renderer) functions() template.FuncMap {
	funcs := sprig.TxtFuncMap()
	for name := range leftOut() {
		delete(funcs, name)
	}
	maps.Copy(funcs, template.FuncMap{
		// Of the template language itself, those that make text.
		"html": template.HTMLEscaper, "js": template.JSEscaper, "urlquery": template.URLQueryEscaper,
		"print": fmt.Sprint, "printf": fmt.Sprintf, "println": fmt.Sprintln,
		// goss's.
		"findStringSubmatch": findStringSubmatch,
		"getEnv":             r.getEnv,
		"mkSlice":            func(args ...any) []any { return args },
		"readFile":           r.readFile,
		"regexMatch":         func(pattern, s string) (bool, error) { return regexp.MatchString(pattern, s) },
		"toLower":            strings.ToLower,
		"toUpper":            strings.ToUpper,
		// Sprig's read the process's environment, or keep quiet about mistakes.
		"env":       func(name string) string { return r.env[name] },
		"expandenv": func(s string) string { return os.Expand(s, func(name string) string { return r.env[name] }) },
		"toJson":    funcs["mustToJson"],
	})
	for name, f := range funcs {
		funcs[name] = r.budget.bounded(name, f)
	}
	funcs["step"] = r.budget.step
	return funcs
}

// findStringSubmatch returns the groups of a match by name, or by number as
// text where none has a name.
func findStringSubmatch(pattern, s string) (map[string]any, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	numbered, named := make(map[string]any), make(map[string]any)
	for i, group := range re.FindStringSubmatch(s) {
		numbered[strconv.Itoa(i)] = group
		if name := re.SubexpNames()[i]; name != "" {
			named[name] = group
		}
	}
	if len(named) > 0 {
		return named, nil
	}
	return numbered, nil
}

func (r *renderer) getEnv(name string, def ...string) string {
	if v := r.env[name]; v != "" || len(def) == 0 {
		return v
	}
	return def[0]
}

// readFile returns a file's text without the space around it, as goss does.
func (r *renderer) readFile(path string) (string, error) {
	if path == "" {
		return "", errors.New("want a file's name, got nothing")
	}
	data, err := r.read(path)
	return strings.TrimSpace(string(data)), err
}
