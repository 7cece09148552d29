# Step-up authentication (stepup.mfa): what is dangerous, or concerns something sensitive, needs a second factor.
#
# Only a sensitivity that the configuration lists as ordinary goes without; none, or an unknown one, counts as high.
package companyos.documents.stepup

import rego.v1

import data.companyos.documents.config

obligations contains {"id": "require_mfa", "policy": "stepup.mfa"} if {
	needed
	not done
}

needed if input.action in config.dangerous_actions

needed if not ordinary

ordinary if input.resource.sensitivity in config.ordinary_sensitivities

done if input.environment.auth_strength == "mfa"
