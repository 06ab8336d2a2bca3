package AI::MXNet::NS::Operators;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;

# use AI::MXNet::NS::Operators $prefix: a method of the using package's ::NDArray, which its nd and ndarray give, calls the operator
# $prefix . its name on AI::MXNet::NDArray. It is made when it is first called. The same for ::Symbol, sym and symbol.
our $AUTOLOAD;

sub import
{
    my ($self, $prefix) = @_;
    my $user = caller;
    for my $names (['NDArray', 'nd', 'ndarray'], ['Symbol', 'sym', 'symbol']) {
        my ($kind, @methods) = @$names;
        my ($package, $class) = ("${user}::$kind", "AI::MXNet::$kind");
        no strict 'refs';
        *{"${user}::$_"} = sub { return $package }
            for @methods;
        @{"${package}::ISA"} = ();
        *{"${package}::DESTROY"} = sub { };
        my $autoload = sub {
            my ($name) = $AUTOLOAD =~ /(\w+)$/;
            my $operator = "$prefix$name";
            AI::MXNet::Keshi::fail(qq(Can't locate object method "$name" via package "$package"))
                if not $class->can($operator);
            my $method = sub {
                my ($invocant, @args) = @_;
                return $class->$operator(@args);
            };
            *{"${package}::$name"} = $method;
            goto &$method;
        };
        *{"${package}::AUTOLOAD"} = $autoload;
    }
    return;
}

1;
