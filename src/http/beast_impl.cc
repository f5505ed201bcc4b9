// Beast's function bodies, compiled once (BOOST_BEAST_SEPARATE_COMPILATION); only http needs them.
#include <boost/beast/src.hpp>
