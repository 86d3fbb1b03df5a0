"""Why a recurrent classifier decided: gates, attribution, and the page that shows them."""
