package companyos.documents.export_test

import rego.v1

import data.companyos.documents.export

asked(action, context) := found if {
	request := {"subject": {"id": "ana"}, "action": action, "resource": {"id": "doc-123"}, "context": context}
	found := {
		"deny": export.deny,
		"remedies": export.remedies,
		"obligations": export.obligations,
	} with input as request
}

refused := {
	"deny": {"export.approval"},
	"remedies": {{"id": "require_approval", "policy": "export.approval", "kind": "export"}},
	"obligations": set(),
}

untouched := {"deny": set(), "remedies": set(), "obligations": set()}

test_an_export_without_a_ticket_is_denied_and_asks_for_one if {
	asked("export", {}) == refused
}

test_an_export_without_any_context_is_denied if {
	export.deny == {"export.approval"} with input as {"action": "export"}
}

test_what_is_no_text_or_empty_is_no_ticket if {
	every ticket in [null, true, 1, "", "   ", "\n\t", ["CHG-1"], {"id": "CHG-1"}] {
		asked("export", {"approval_ticket": ticket}) == refused
	}
}

test_an_export_with_a_ticket_is_logged_with_it if {
	asked("export", {"approval_ticket": " CHG-1 "}) == {
		"deny": set(),
		"remedies": set(),
		"obligations": {{
			"id": "log_event",
			"policy": "export.approval",
			"event": "export",
			"ticket": "CHG-1",
			"subject": "ana",
			"resource": "doc-123",
		}},
	}
}

test_other_actions_need_no_ticket_and_log_nothing if {
	found := {asked(action, context) |
		some action in ["read", "write", "delete", "transfer"]
		some context in [{}, {"approval_ticket": "CHG-1"}]
	}
	found == {untouched}
}
