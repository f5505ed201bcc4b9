# The program the environment runs. All code is in bootstrap.py, which is compiled at build time: a script
# named on the command line is compiled at every start.
import bootstrap

bootstrap.main()
