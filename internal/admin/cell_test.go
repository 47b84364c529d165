package admin

import "testing"

// No spreadsheet takes a cell for a formula, and what was there can be read from it.
func TestCell(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "CRM": "CRM", "CRM = 1": "CRM = 1", "https://api.example": "https://api.example", "192.0.2.0/24": "192.0.2.0/24",
		"=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", " =1": "' =1", "\t=1": "'\t=1", "\r=1": "'\r=1",
		"\u00a0=1": "'\u00a0=1", "＝1": "'＝1", "'=1": "''=1",
	} {
		if got := cell(text); got != want {
			t.Errorf("cell(%q) = %q, want %q", text, got, want)
		}
	}
}
