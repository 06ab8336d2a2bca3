package AI::MXNet::Function::Parameters;
use 5.014;
use strict;
use warnings;
use Function::Parameters ();
use Mouse::Util::TypeConstraints ();
use AI::MXNet::Types;

sub type
{
    return Mouse::Util::TypeConstraints::find_or_create_isa_type_constraint($_[0]);
}

my %common = (strict => 1, runtime => 1, reify_type => \&type);
my %keywords = (
    func => { defaults => 'function', %common },
    method => { defaults => 'method', %common },
);

sub import
{
    return Function::Parameters->import(\%keywords);
}

1;

__END__

=head1 NAME

AI::MXNet::Function::Parameters - func and method with types, defaults and names

=head1 SYNOPSIS

    use AI::MXNet::Function::Parameters;
    func scaled(Num $x, Num :$by=2) { $x * $by }
    print scaled(4), ' ', scaled(4, by => 10), "\n";

=head1 DESCRIPTION

L<Function::Parameters> with two keywords, both strict: C<func>, and C<method>, which has C<$self>. Types are Mouse
constraints, see L<AI::MXNet::Types>. Too few or too many arguments, unknown names and values of another type die.

=cut
