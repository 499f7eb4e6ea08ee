// The public elements. A second load of the script changes nothing: the names are taken.

import './customer-element.ts';
import './root.ts';
