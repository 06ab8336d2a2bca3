package AI::MXNet::NS::Operators;
use 5.014;
use strict;
use warnings;
use AI::MXNet::Keshi;

# use AI::MXNet::NS::Operators ($package => $class, ..., $prefix): a method of $package calls the operator $prefix . its name
# on $class. It is made when it is first called.
our $AUTOLOAD;

sub import
{
    my ($self, @pairs) = @_;
    my $prefix = pop @pairs;
    while (my ($package, $class) = splice @pairs, 0, 2) {
        no strict 'refs';
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
