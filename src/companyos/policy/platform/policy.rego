# Who may do what on the platform itself. `data.platform` is the role table of companyos.identity, so that the table
# stays in one place; a company that wants more than roles promotes a bundle of its own with the id companyos/platform.
package companyos.authz

import rego.v1

default decision := {"decision": "deny", "reason": "roles:deny", "obligations": []}

# Everyone who is signed in may, for example, sign out.
decision := {"decision": "allow", "reason": "roles:signed-in", "obligations": []} if {
	input.action in data.platform.signed_in
	input.subject.attributes.signed_in == true
}

# The table is ordered by power, and the least powerful role that allows the action is the reason.
else := {"decision": "allow", "reason": data.platform.roles[min(allowing)].reason, "obligations": []} if {
	count(allowing) > 0
}

allowing contains place if {
	some place, role in data.platform.roles
	role.name in input.subject.attributes.roles
	input.action in role.actions
}
