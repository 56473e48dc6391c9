package collect

import "regexp"

var (
	// login is the user and password of a URL.
	login = regexp.MustCompile(`(\w://)[^/\s@]+@`)
	// secret is a setting whose name says that its value is one, as an option, in
	// a configuration file or in JSON.
	secret = regexp.MustCompile(`(?i)((?:^|[\s"'&?,;{(_-])(?:\w*[_-])?(?:password|passwd|passphrase|psk|secret|token|api[_-]?key|private[_-]?key|wep[_-]?key\d?)["']?[ \t]*[=:][ \t]*)["']?[^\s"',;&}]+["']?`)
	// option is the same as two words of a command line.
	option = regexp.MustCompile(`(?i)(--?(?:password|passwd|passphrase|psk|secret|token|api-?key)[ \t]+)[^\s-]\S*`)
	// environment is the environment of a unit.
	environment = regexp.MustCompile(`(?m)^([ \t]*Environment=).*$`)
	// keyBlock is a private key in text.
	keyBlock = regexp.MustCompile(`(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(-----END [A-Z ]*PRIVATE KEY-----|$)`)
)

// Redact takes out of a text what looks like a secret: the logins of URLs, values
// of settings that are called a password, token or key, private keys.
func Redact(text string) string {
	text = login.ReplaceAllString(text, "${1}…@")
	text = keyBlock.ReplaceAllString(text, "$1…$2")
	text = environment.ReplaceAllString(text, "$1…")
	text = option.ReplaceAllString(text, "$1…")
	return secret.ReplaceAllString(text, "$1…")
}
